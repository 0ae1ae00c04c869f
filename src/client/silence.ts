import type { Clock } from "./clock.ts";
import type { Gate } from "./gate.ts";

/** Watches one connection for bytes. */
export interface SilenceWatch {
  readonly noteBytes: () => void;
  readonly hasFired: boolean;
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
  let lastMs = clock.nowMs();
  let hasFired = false;
  const look = (): void => {
    if (!gate.isOpen) lastMs = clock.nowMs();
    const leftMs = lastMs + quietMs - clock.nowMs();
    hasFired = leftMs <= 0;
    if (hasFired) onSilence();
    else cancel = clock.after(leftMs, look);
  };
  let cancel = clock.after(quietMs, look);
  return {
    noteBytes: () => (lastMs = clock.nowMs()),
    get hasFired() {
      return hasFired;
    },
    end: () => cancel(),
  };
}
