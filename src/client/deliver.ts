import { attempt, type Connection, type Failure, type PublishRequest } from "./attempt.ts";
import { PublishError } from "./publish-error.ts";
import type { Published } from "./published.ts";
import { retryDelayMs } from "./retry-delay.ts";

export interface DeliveryOptions extends Connection {
  /** How many attempts may follow the first. */
  readonly maxRetries: number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Ends early when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/**
 * Sends the request until it is stored, or there is no use in trying. All attempts carry the same
 * idempotency key, so that a retry after a lost answer makes no second event.
 * @throws PublishError
 */
export async function deliver(
  request: PublishRequest,
  options: DeliveryOptions,
): Promise<Published> {
  let mayBeStored = false;
  for (let attempts = 1; ; attempts += 1) {
    if (isAborted(request)) throw aborted(request, mayBeStored);
    const outcome = await attempt(request, options);
    if ("published" in outcome) return outcome.published;
    const { failure } = outcome;
    mayBeStored ||= failure.mayBeStored;
    if (isAborted(request)) throw aborted(request, mayBeStored);
    if (!failure.isRetryable || attempts > options.maxRetries) {
      throw gaveUp(request, failure, { attempts, mayBeStored });
    }
    const delayMs = retryDelayMs({
      failures: attempts,
      retryAfter: failure.retryAfter ?? null,
      nowMs: Date.now(),
      random: options.random(),
    });
    await options.pause(delayMs, request.signal);
  }
}

function isAborted({ signal }: PublishRequest): boolean {
  return signal?.aborted === true;
}

function gaveUp(
  { url, idempotencyKey }: PublishRequest,
  { reason, status, problem, cause }: Failure,
  { attempts, mayBeStored }: { attempts: number; mayBeStored: boolean },
): PublishError {
  const tried = attempts === 1 ? "" : `, after ${attempts} attempts`;
  return new PublishError(
    `POST ${new URL(url).pathname} was given up: ${reason}${tried}; ${whatToDo(mayBeStored)}`,
    { status, problem, mayBeStored, idempotencyKey, cause },
  );
}

function aborted(
  { url, idempotencyKey, signal }: PublishRequest,
  mayBeStored: boolean,
): PublishError {
  return new PublishError(`POST ${new URL(url).pathname} was aborted; ${whatToDo(mayBeStored)}`, {
    status: undefined,
    problem: undefined,
    mayBeStored,
    idempotencyKey,
    cause: signal?.reason,
  });
}

function whatToDo(mayBeStored: boolean): string {
  return mayBeStored
    ? "it may be stored, so call again with the same idempotencyKey"
    : "nothing of it was stored";
}
