import { allows, type Principal } from "../../auth/principal.ts";
import { HeadgateError, quote } from "../../errors.ts";
import type { StartRequest } from "../../hub/start-position.ts";
import type { Identity, Subscription } from "../../hub/subscription.ts";
import { MAX_ID_BYTES, MAX_PARTITIONS } from "../../log/position.ts";
import { preferredType } from "../accept.ts";
import { clientAddress } from "../client-address.ts";
import {
  type HttpContext,
  json,
  type Route,
  type RouteHandler,
  type RouteRequest,
} from "../context.ts";
import { Query } from "../query.ts";
import { shed, shedBytes } from "../shed.ts";
import { streamHeaders, streamResponse } from "../stream.ts";
import { parseSelf, parseStart, parseSubscription, STREAM_PARAMETERS } from "../subscribe-query.ts";
import { publish } from "./publish.ts";

export const eventsRoute: Route = {
  path: "/events",
  access: "caller",
  summary: "GET streams events (SSE, or JSON lines); POST publishes them",
  methods: { GET: stream(undefined), POST: publish },
};

export const streamRoute: Route = {
  path: "/stream",
  access: "caller",
  summary: "GET streams the 10 newest events, then what comes (SSE, or JSON lines)",
  methods: { GET: stream(10) },
};

export const explainRoute: Route = {
  path: "/events/explain",
  access: "caller",
  summary: "GET says what a stream with these parameters would begin with",
  methods: {
    GET: async (context, route) => {
      const { subscription, start, identity } = readRequest(context, route, undefined);
      return json(await context.hub.explain(start, { subscription, identity }));
    },
  },
};

function stream(defaultRecent: number | undefined): RouteHandler {
  return (context, route) => {
    const { request, server, principal } = route;
    const { hub, limits, authenticator } = context;
    const asked = readRequest(context, route, defaultRecent);
    const { encoding } = asked.subscription;
    if (request.method === "HEAD") return new Response(null, { headers: streamHeaders(encoding) });
    if (hub.isDraining) return shed(request, "shutdown");
    const owner = { address: addressOf(context, route), user: asked.identity.user };
    const refusal = limits.refusal(owner);
    if (refusal) return shed(request, refusal);
    return streamResponse({
      request,
      server,
      encoding,
      onOpen: (sink) => {
        // Others may have come in between; a slot is taken only where a stream's end gives it back.
        const late = limits.refusal(owner);
        if (late) {
          sink.write(shedBytes(encoding, late));
          sink.end();
          return { onDrain: () => undefined, onGone: () => undefined };
        }
        const release = limits.take(owner);
        const subscriber = hub.subscribe({
          ...asked,
          sink,
          expiresAtMs: principal.token?.expiresAtMs ?? Infinity,
          onEnded: (reason) => {
            release();
            if (reason === "token-expired") authenticator.onExpired(principal);
          },
        });
        return { onDrain: () => hub.onDrain(subscriber), onGone: () => hub.onGone(subscriber) };
      },
    });
  };
}

interface StreamRequest {
  readonly subscription: Subscription;
  readonly start: StartRequest;
  readonly identity: Identity;
}

function readRequest(
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

/** The address that limits count by. */
export function addressOf(
  { trustedProxies: trusted }: HttpContext,
  { request, server }: RouteRequest,
): string {
  return clientAddress({
    peer: server.requestIP(request)?.address,
    headers: request.headers,
    trusted,
  });
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
