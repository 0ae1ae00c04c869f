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
  let isOver = false;
  let cancel = (): void => undefined;
  const noteBytes = (): void => {
    cancel();
    // What comes too late must not begin it anew.
    if (!isOver) cancel = clock.after(quietMs, () => (gate.isOpen ? onSilence() : noteBytes()));
  };
  noteBytes();
  return {
    noteBytes,
    end: () => {
      isOver = true;
      cancel();
    },
  };
}
