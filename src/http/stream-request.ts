import { allows, type Principal } from "../auth/principal.ts";
import { HeadgateError, quote } from "../errors.ts";
import type { StartRequest } from "../hub/start-position.ts";
import type { Identity, Subscription } from "../hub/subscription.ts";
import { MAX_ID_BYTES, MAX_PARTITIONS } from "../log/position.ts";
import { preferredType } from "./accept.ts";
import type { HttpContext, RouteRequest } from "./context.ts";
import { Query } from "./query.ts";
import { parseSelf, parseStart, parseSubscription, STREAM_PARAMETERS } from "./subscribe-query.ts";

/** A stream as it was asked for, with nothing in it that its principal may not have. */
interface StreamRequest {
  readonly subscription: Subscription;
  readonly start: StartRequest;
  readonly identity: Identity;
}

/** Reads what a stream is asked for, and by whom. */
export function readStreamRequest(
  context: HttpContext,
  { request, principal }: RouteRequest,
  defaultRecent: number | undefined,
): StreamRequest {
  const query = new Query(request.url, STREAM_PARAMETERS);
  const subscription = readableSubscription(query, context, principal);
  const start = parseStart(query, {
    lastEventId: request.headers.get("last-event-id"),
    defaultRecent,
    nowMs: Date.now(),
  });
  const identity = identify(principal, query);
  checkIdSize(context, subscription.topics);
  const types = ["text/event-stream", "application/x-ndjson"] as const;
  const isNdjson = preferredType(request.headers.get("accept"), types) === "application/x-ndjson";
  return {
    subscription: isNdjson ? { ...subscription, encoding: "ndjson" } : subscription,
    start,
    identity,
  };
}

/**
 * What a request asks for, of what its principal may read.
 * @throws HeadgateError also `forbidden` for a channel that it may not join.
 */
export function readableSubscription(
  query: Query,
  { topics }: HttpContext,
  principal: Principal,
): Subscription {
  const readable = topics.filter((topic) => allows(principal.subscribe, topic));
  const subscription = parseSubscription(query, readable);
  for (const channel of subscription.channels) {
    if (allows(principal.channels, channel)) continue;
    throw new HeadgateError("forbidden", `The token does not allow channel ${quote(channel)}`, {
      parameter: "channels",
    });
  }
  return subscription;
}

/** A token says who it is; without one, only somebody on this machine may say so itself. */
function identify(principal: Principal, query: Query): Identity {
  const self = parseSelf(query);
  const { mayNameItself, user, username, clientId } = principal;
  if (!mayNameItself) {
    const isOther = (name: string | undefined, own: string | undefined): boolean =>
      name !== undefined && name !== own;
    if (
      isOther(self.clientId, clientId) ||
      isOther(self.user, user) ||
      isOther(self.username, username)
    ) {
      throw new HeadgateError(
        "forbidden",
        principal.token
          ? "userId, username and clientId must be the token's own; leave them out"
          : "Naming oneself (userId, username, clientId) is for loopback; see ALLOW_ANONYMOUS_USERS",
      );
    }
  }
  return {
    clientId: self.clientId ?? clientId ?? crypto.randomUUID(),
    user: self.user ?? user,
    username: self.username ?? username,
  };
}

/** Digits of an offset that no partition passes in the life of a stream. */
const OFFSET_DIGITS = 14;

function checkIdSize({ hub }: HttpContext, topics: readonly string[]): void {
  let partitions = 0;
  let bytes = 1;
  for (const topic of topics) {
    const count = hub.source?.log.topic(topic)?.offsets.length ?? 1;
    partitions += count;
    bytes += topic.length + 11 + count * (OFFSET_DIGITS + 1);
  }
  if (partitions > MAX_PARTITIONS || bytes > MAX_ID_BYTES) {
    throw new HeadgateError(
      "invalid-parameter",
      `The subscription has ${partitions} partitions and ids of up to ${bytes} bytes; at most ${MAX_PARTITIONS} and ${MAX_ID_BYTES} are allowed: name fewer topics`,
      { parameter: "topics" },
    );
  }
}
