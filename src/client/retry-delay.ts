const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/** A server that asks for more is asked again after this: it must not be able to hold a call for hours. */
const MAX_RETRY_AFTER_MS = 30_000;

export interface RetryDelay {
  /** How many attempts have failed, from 1. */
  readonly failures: number;
  /** The header Retry-After of the last answer, or null. */
  readonly retryAfter: string | null;
  readonly nowMs: number;
  /** From 0 to 1: spreads those who failed together. */
  readonly random: number;
}

/**
 * How long to wait before the next attempt (milliseconds): half to all of 100 ms, 200 ms … 5 s, on top
 * of what the server asks for, so that not all come back in the moment that it names.
 */
export function retryDelayMs({ failures, retryAfter, nowMs, random }: RetryDelay): number {
  const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS);
  const askedMs = Math.min(parseRetryAfter(retryAfter, nowMs), MAX_RETRY_AFTER_MS);
  return askedMs + backoffMs * (0.5 + random / 2);
}

/** [RFC 9110 §10.2.3] seconds, or a date. 0 for anything else. */
function parseRetryAfter(value: string | null, nowMs: number): number {
  if (value === null) return 0;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - nowMs);
}
