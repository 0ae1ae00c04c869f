/** What went wrong, as a closed set; `http/problem.ts` maps each code to one HTTP status. */
export type ErrorCode =
  | "configuration"
  | "data-dir-locked"
  | "log-full"
  | "log-unwritable"
  | "not-ready"
  | "invalid-parameter"
  | "invalid-body"
  | "invalid-event"
  | "topic-not-found"
  | "event-not-found"
  | "endpoint-not-found"
  | "method-not-allowed"
  | "unsupported-media-type"
  | "too-large"
  | "unauthorized"
  | "forbidden"
  | "overloaded"
  | "too-many-connections"
  | "rate-limited"
  | "shutting-down"
  | "publish-queue-full"
  | "publish-timeout"
  | "publish-failed";

/** Details that travel with some codes. */
export interface ErrorDetails {
  /** RFC 6901 pointer to the place in the request body. */
  pointer?: string;
  /** The query parameter at fault. */
  parameter?: string;
  /** `method-not-allowed` only: the methods that are. */
  allow?: string;
  /** `publish-*` only: false when no byte of the event can have reached the store. */
  mayBeStored?: boolean;
  /** Seconds after which a retry makes sense. */
  retryAfterS?: number;
  cause?: unknown;
}

/** The one error class: its message says what happened, with which value, and what to do. */
export class HeadgateError extends Error {
  override readonly name = "HeadgateError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.details = details;
  }
}

/** Quotes a value for a message: one line, at most 100 characters of it. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}

/** The same for topics that do not exist and for those that the caller may not read. */
export function topicNotFound(topic: string, details: ErrorDetails = {}): HeadgateError {
  return new HeadgateError("topic-not-found", `Topic ${quote(topic)} is not served`, details);
}
