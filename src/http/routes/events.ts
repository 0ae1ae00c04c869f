import { json, type Route, type RouteHandler } from "../context.ts";
import { shed, shedBytes } from "../shed.ts";
import { streamHeaders, streamResponse } from "../stream.ts";
import { readStreamRequest } from "../stream-request.ts";
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
      const { subscription, start, identity } = readStreamRequest(context, route, undefined);
      return json(
        await context.hub.explain(start, { subscription, identity }, route.request.signal),
      );
    },
  },
};

function stream(defaultRecent: number | undefined): RouteHandler {
  return (context, route) => {
    const { request, server, principal } = route;
    const { hub, limits, authenticator } = context;
    const asked = readStreamRequest(context, route, defaultRecent);
    const { encoding } = asked.subscription;
    if (request.method === "HEAD") return new Response(null, { headers: streamHeaders(encoding) });
    if (hub.isDraining) return shed(request, "shutdown", context.metrics);
    const owner = { address: route.address(), user: asked.identity.user };
    const refusal = limits.refusal(owner);
    if (refusal) return shed(request, refusal, context.metrics);
    return streamResponse({
      request,
      server,
      encoding,
      onOpen: (sink) => {
        // Others may have come in between; a slot is taken only where a stream's end gives it back.
        const late = limits.refusal(owner);
        if (late) {
          context.metrics.streamsShed.inc({ reason: late });
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
