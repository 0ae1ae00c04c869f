import type { Clock } from "./clock.ts";
import type { Gate } from "./gate.ts";

/** Watches one connection for bytes. */
export interface SilenceWatch {
  readonly noteBytes: () => void;
  readonly end: () => void;
}

/**
 * Calls once nothing has come for so long: a half-open connection looks like a quiet one, but brings no
 * heartbeats. While the gate is closed nothing is read, and silence says nothing.
 */
export function watchSilence(
  { clock, gate, quietMs }: { clock: Clock; gate: Gate; quietMs: number },
  onSilence: () => void,
): SilenceWatch {
  let end = (): void => undefined;
  const noteBytes = (): void => {
    end();
    end = clock.after(quietMs, () => (gate.isOpen ? onSilence() : noteBytes()));
  };
  noteBytes();
  return { noteBytes, end: () => end() };
}
