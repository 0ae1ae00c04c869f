/** How the waits between attempts grow. */
export interface Backoff {
  /** The first wait, milliseconds. */
  readonly firstMs: number;
  /** What each attempt that fails multiplies it by. */
  readonly factor: number;
  /** The longest wait, milliseconds. */
  readonly maxMs: number;
}

/** However long a server asks to be left alone. */
const MAX_RETRY_MS = 300_000;

/**
 * How long to wait before coming back (milliseconds), jittered down to its half, so that a thousand
 * pages do not come back at once. Never before the server's own `retry:`, which is jittered already.
 */
export function reconnectDelayMs({
  attempt,
  backoff,
  retryMs,
  random,
}: {
  /** How many have failed before. */
  readonly attempt: number;
  readonly backoff: Backoff;
  readonly retryMs: number;
  /** 0 to 1. */
  readonly random: number;
}): number {
  const delayMs = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** attempt);
  return Math.max(delayMs * (0.5 + random / 2), Math.min(retryMs, MAX_RETRY_MS));
}
