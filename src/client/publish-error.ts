/** What the server says went wrong [RFC 9457]; `type` is stable, such as `/errors/topic-not-found`. */
export interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  /** Place in the body [RFC 6901]. */
  readonly pointer?: string;
  readonly mayBeStored?: boolean;
  readonly [member: string]: unknown;
}

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
