import { HeadgateError } from "../../errors.ts";
import type { Identity } from "../../hub/subscription.ts";
import type { CloseReason } from "../../hub/subscriber.ts";
import { MAX_ID_BYTES, MAX_PARTITIONS } from "../../log/position.ts";
import { retryFrame, systemFrame } from "../../sse/frame.ts";
import type { HttpContext, Route, RouteHandler, RouteRequest } from "../context.ts";
import { isLocal } from "../loopback.ts";
import { Query } from "../query.ts";
import { STREAM_HEADERS, streamResponse } from "../stream.ts";
import {
  FILTER_PARAMETERS,
  parseSelf,
  parseStart,
  parseSubscription,
  START_PARAMETERS,
} from "../subscribe-query.ts";
import { publish } from "./publish.ts";

export const eventsRoute: Route = {
  path: "/events",
  summary: "GET streams events (SSE); POST publishes them",
  methods: { GET: stream(undefined), POST: publish },
};

export const streamRoute: Route = {
  path: "/stream",
  summary: "GET streams the 10 newest events, then what comes (SSE)",
  methods: { GET: stream(10) },
};

const PARAMETERS = [
  ...FILTER_PARAMETERS,
  ...START_PARAMETERS,
  "envelope",
  "clientId",
  "userId",
  "username",
];

function stream(defaultRecent: number | undefined): RouteHandler {
  return (context, route) => {
    const { request, server } = route;
    const query = new Query(request.url, PARAMETERS);
    const subscription = parseSubscription(query, context.topics);
    const start = parseStart(query, {
      lastEventId: request.headers.get("last-event-id"),
      defaultRecent,
      nowMs: Date.now(),
    });
    const identity = identify(context, route, query);
    checkIdSize(context, subscription.topics);
    if (request.method === "HEAD") return new Response(null, { headers: STREAM_HEADERS });
    if (context.hub.isDraining) return shed(request, "shutdown");
    if (context.hub.size >= context.maxConnections) return shed(request, "overloaded");
    return streamResponse({
      request,
      server,
      onOpen: (sink) => {
        const { hub } = context;
        const subscriber = hub.subscribe({
          subscription,
          identity,
          start,
          sink,
          expiresAtMs: Infinity,
          onEnded: () => {},
        });
        return { onDrain: () => hub.onDrain(subscriber), onGone: () => hub.onGone(subscriber) };
      },
    });
  };
}

/** Only somebody on this machine may say who it is, as long as nobody can prove it. */
function identify(
  { allowAnonymousUsers, bindHost }: HttpContext,
  { request, server }: RouteRequest,
  query: Query,
): Identity {
  const self = parseSelf(query);
  const peer = server.requestIP(request)?.address;
  if (
    Object.keys(self).length > 0 &&
    !allowAnonymousUsers &&
    !isLocal({ bindHost, peer, headers: request.headers })
  ) {
    throw new HeadgateError(
      "forbidden",
      "Naming oneself (userId, username, clientId) is for loopback; see ALLOW_ANONYMOUS_USERS",
    );
  }
  return {
    clientId: self.clientId ?? crypto.randomUUID(),
    user: self.user,
    username: self.username,
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

/**
 * Turns a stream away. Native EventSource gives up for good on any status but 200: so it is told in
 * a stream of its own when to come back.
 */
function shed(request: Request, reason: CloseReason & ("shutdown" | "overloaded")): Response {
  if (request.headers.get("accept")?.includes("text/event-stream")) {
    const retry = retryFrame(5000 + Math.random() * 10_000);
    const close = systemFrame("close", JSON.stringify({ reason, reconnect: true }));
    return new Response(retry + close, { headers: { ...STREAM_HEADERS, Vary: "Accept" } });
  }
  const retryAfterS = 5 + Math.random() * 10;
  throw reason === "shutdown"
    ? new HeadgateError("shutting-down", "The server is stopping; come back", { retryAfterS })
    : new HeadgateError("overloaded", "Too many streams are open; come back later", {
        retryAfterS,
      });
}
