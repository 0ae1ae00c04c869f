import type { Problem } from "./problem.ts";

export interface PublishErrorDetails {
  readonly status: number | undefined;
  readonly problem: Problem | undefined;
  readonly mayBeStored: boolean;
  readonly idempotencyKey: string;
  readonly cause: unknown;
}

/** A call was given up. Its message holds nothing of what was sent; the server's words are in `problem`. */
export class PublishError extends Error {
  override readonly name = "PublishError";
  /** Of the last attempt; undefined where it had no answer. */
  readonly status: number | undefined;
  /** Of the last attempt, where the server sent one. */
  readonly problem: Problem | undefined;
  /** False only where it is known of every attempt that nothing of it was stored. */
  readonly mayBeStored: boolean;
  /** To call again with later: what was stored already is not stored twice. */
  readonly idempotencyKey: string;

  constructor(message: string, details: PublishErrorDetails) {
    super(message, { cause: details.cause });
    this.status = details.status;
    this.problem = details.problem;
    this.mayBeStored = details.mayBeStored;
    this.idempotencyKey = details.idempotencyKey;
  }
}
