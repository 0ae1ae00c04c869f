const FIRST_MS = 1000;
const MAX_MS = 30_000;

/** However long a server asks to be left alone. */
const MAX_RETRY_MS = 300_000;

/**
 * How long to wait before coming back: from 1 s to 30 s, doubling with each attempt that failed, and
 * jittered down to its half, so that a thousand pages do not come back at once. Never before the
 * server's own `retry:`, which is jittered already.
 */
export function reconnectDelayMs({
  attempt,
  retryMs,
  random,
}: {
  /** How many have failed before. */
  readonly attempt: number;
  readonly retryMs: number;
  /** 0 to 1. */
  readonly random: number;
}): number {
  const delay = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.max(delay * (0.5 + random / 2), Math.min(retryMs, MAX_RETRY_MS));
}
