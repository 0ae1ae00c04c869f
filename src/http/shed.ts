import { HeadgateError } from "../errors.ts";
import type { CloseReason } from "../hub/subscriber.ts";
import type { Metrics } from "../metrics.ts";
import { type Encoding, encodeRetry, encodeSystem } from "../sse/encoding.ts";
import { preferredType } from "./accept.ts";
import { streamHeaders } from "./stream.ts";

/** Why a stream is turned away before it begins. */
export type ShedReason = CloseReason & ("shutdown" | "overloaded" | "too-many-connections");

const MESSAGES: Readonly<Record<ShedReason, string>> = {
  shutdown: "The server is stopping; come back",
  overloaded: "Too many streams are open; come back later",
  "too-many-connections": "Too many streams are open of this address or user; close one",
};

const CODES = {
  shutdown: "shutting-down",
  overloaded: "overloaded",
  "too-many-connections": "too-many-connections",
} as const satisfies Record<ShedReason, string>;

/**
 * Turns a stream away. Native EventSource gives up for good on any status but 200: so whoever asks
 * for an event stream is told in one when to come back; others by a status.
 */
export function shed(request: Request, reason: ShedReason, metrics: Metrics): Response {
  metrics.streamsShed.inc({ reason });
  if (wantsStream(request)) {
    return new Response(shedBytes("plain", reason), { headers: streamHeaders("plain") });
  }
  throw new HeadgateError(CODES[reason], MESSAGES[reason], { retryAfterS: delayMs() / 1000 });
}

/** Whether a request names event streams, as EventSource does. */
export function wantsStream(request: Request): boolean {
  return preferredType(request.headers.get("accept"), ["text/event-stream"]) !== undefined;
}

/** The same where the answer has begun already. */
export function shedBytes(encoding: Encoding, reason: ShedReason): Buffer<ArrayBuffer> {
  return Buffer.concat([
    encodeRetry(encoding, delayMs()),
    encodeSystem(encoding, "close", JSON.stringify({ reason, reconnect: true })),
  ]);
}

/** Jittered, so that those who are turned away together do not come back together. */
function delayMs(): number {
  return 5000 + Math.random() * 10_000;
}
