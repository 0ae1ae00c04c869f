/** How the waits between attempts grow. */
export interface Backoff {
  /** The first wait, milliseconds: 5,000. */
  readonly firstMs?: number | undefined;
  /** What each attempt that fails multiplies it by: 1.5. */
  readonly factor?: number | undefined;
  /** The longest wait, milliseconds: 30,000. */
  readonly maxMs?: number | undefined;
}

/** However long a server asks to be left alone. */
const MAX_RETRY_MS = 300_000;

/**
 * How long to wait before coming back (milliseconds), jittered down to its half, so that a thousand
 * pages do not come back at once. Never before the server's own `retry:`, which is jittered already.
 */
export function reconnectDelayMs({
  attempt,
  backoff: { firstMs = 5000, factor = 1.5, maxMs = 30_000 } = {},
  retryMs,
  random,
}: {
  /** How many have failed before. */
  readonly attempt: number;
  readonly backoff: Backoff | undefined;
  readonly retryMs: number;
  /** 0 to 1. */
  readonly random: number;
}): number {
  const delayMs = Math.min(maxMs, firstMs * factor ** attempt);
  return Math.max(delayMs * (0.5 + random / 2), Math.min(retryMs, MAX_RETRY_MS));
}
