import type { Hub } from "../../hub/hub.ts";
import type { Subscriber } from "../../hub/subscriber.ts";
import { json, type Route, type RouteHandler } from "../context.ts";
import { limitedStream } from "../limited-stream.ts";
import type { StreamPeer } from "../stream.ts";
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
    const asked = readStreamRequest(context, route, defaultRecent);
    const { encoding } = asked.subscription;
    const { hub } = context;
    return limitedStream(context, route, {
      encoding,
      user: asked.identity.user,
      open: (opened) => new SubscribedPeer(hub, hub.subscribe({ ...asked, ...opened })),
    });
  };
}

class SubscribedPeer implements StreamPeer {
  readonly #hub: Hub;
  readonly #subscriber: Subscriber;

  constructor(hub: Hub, subscriber: Subscriber) {
    this.#hub = hub;
    this.#subscriber = subscriber;
  }

  onDrain(): void {
    this.#hub.onDrain(this.#subscriber);
  }

  onGone(): void {
    this.#hub.onGone(this.#subscriber);
  }
}
