import { allows, type Principal } from "../../auth/principal.ts";
import { HeadgateError } from "../../errors.ts";
import { newestEvents, onePerKey } from "../../hub/history.ts";
import type { Source } from "../../hub/source.ts";
import { isEvent } from "../../hub/page.ts";
import { isFor, type Viewer } from "../../hub/subscription.ts";
import { envelopeOf } from "../../sse/envelope.ts";
import { toEvent } from "../../sse/event.ts";
import type { HttpContext, Route } from "../context.ts";
import { Query } from "../query.ts";
import { LOOK_UP_PARAMETERS, RECENT_PARAMETERS } from "../subscribe-query.ts";
import { readableSubscription } from "../stream-request.ts";

/** What one answer may hold; the first event is there whatever its size. */
const MAX_BYTES = 8 << 20;

const DEFAULT_LIMIT = 10;

/** Look-ups show what names nobody, the channels that were asked for, and what names the token's own user or client. */
function viewerOf({ user, clientId }: Principal): Viewer {
  return { user, clientId };
}

/** GET /events/recent: the newest events, newest first. */
export const recentRoute: Route = {
  path: "/events/recent",
  access: "caller",
  summary: "GET lists the newest events, newest first",
  methods: {
    GET: async (context, { request, principal }) => {
      const query = new Query(request.url, RECENT_PARAMETERS);
      const reader = {
        subscription: readableSubscription(query, context, principal),
        identity: viewerOf(principal),
      };
      const limit = query.get("limit") ?? DEFAULT_LIMIT;
      const isWanted = query.get("per") === "key" ? onePerKey() : () => true;
      const { log } = sourceOf(context);
      const envelopes: string[] = [];
      let bytes = 0;
      let truncated = false;
      const search = newestEvents(log, reader, (event) => {
        if (!isWanted(event)) return "more";
        const envelope = envelopeOf(event);
        bytes += Buffer.byteLength(envelope);
        truncated = bytes > MAX_BYTES && envelopes.length > 0;
        if (truncated) return "enough";
        envelopes.push(envelope);
        return envelopes.length < limit ? "more" : "enough";
      });
      await context.hub.turns.run(search, request.signal);
      return raw(`{"events":[${envelopes.join(",")}],"truncated":${truncated}}`);
    },
  },
};

/** GET /events/{topic}/{partition}/{offset}: one event, by where it lies in Kafka. */
export const lookUpRoute: Route = {
  path: "/events/:topic/:partition/:offset",
  access: "caller",
  summary: "GET looks one event up by its coordinates",
  methods: {
    GET: (context, { request, path, principal }) => {
      const query = new Query(request.url, LOOK_UP_PARAMETERS);
      const { topic = "", partition = "", offset = "" } = path;
      const subscription = readableSubscription(query, context, principal);
      const { log } = sourceOf(context);
      const isReadable = context.topics.includes(topic) && allows(principal.subscribe, topic);
      const isPlace = NUMBER.test(partition) && NUMBER.test(offset);
      const entry =
        isReadable && isPlace ? log.find(topic, Number(partition), Number(offset)) : undefined;
      const event = entry && isEvent(entry) ? toEvent(entry) : undefined;
      if (!event || !isFor(event, subscription, viewerOf(principal))) {
        throw new HeadgateError("event-not-found", "The local log holds no such event");
      }
      return raw(envelopeOf(event));
    },
  },
};

const NUMBER = /^(?:0|[1-9]\d{0,15})$/;

function sourceOf({ hub: { source } }: HttpContext): Source {
  source?.refresh?.();
  if (source) return source;
  throw new HeadgateError("not-ready", "The server is not ready yet; /readyz says why");
}

/** JSON that is text already: its numbers keep their digits. */
function raw(text: string): Response {
  return new Response(`${text}\n`, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
