import { z } from "zod";
import type { ErrorCode } from "../../errors.ts";

/** What a request can be refused with; the tail of a problem's `type`. */
export type ProblemCode = Exclude<ErrorCode, "configuration" | "data-dir-locked"> | "internal";

/** By status, what a problem's `type` may be. */
export type Problems = Readonly<Record<number, readonly ProblemCode[]>>;

/** `application/problem+json` [RFC 9457 §3], with members of ours. */
export const Problem = z
  .strictObject({
    type: z
      .string()
      .regex(/^\/errors\/[a-z-]+$/)
      .describe("Stays what it is; the rest is for people"),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().describe("What happened, with which value, and what to do"),
    pointer: z.string().exactOptional().describe("Where in the body (RFC 6901)"),
    parameter: z.string().exactOptional().describe("Which parameter"),
    mayBeStored: z
      .boolean()
      .exactOptional()
      .describe("Of a publish: false where nothing of it can have been stored"),
  })
  .describe("Why a request failed");

/** Statuses whose problems say in `Retry-After` when to come back. */
export const RETRIED: ReadonlySet<number> = new Set([429, 503]);

/** Of what is looked up in the local log. */
export const LOOK_UP_PROBLEMS: Problems = { 400: ["invalid-parameter"], 404: ["topic-not-found"] };

/** Of an event stream. Who accepts `text/event-stream` is told the last two in a stream instead. */
export const STREAM_PROBLEMS: Problems = {
  ...LOOK_UP_PROBLEMS,
  429: ["too-many-connections"],
  503: ["overloaded", "shutting-down"],
};

/** Of a publish. */
export const PUBLISH_PROBLEMS: Problems = {
  400: ["invalid-body", "invalid-parameter"],
  404: ["topic-not-found"],
  413: ["too-large"],
  415: ["unsupported-media-type"],
  422: ["invalid-event"],
  429: ["rate-limited", "publish-queue-full"],
  503: ["publish-timeout", "publish-failed", "log-full", "log-unwritable", "shutting-down"],
};
