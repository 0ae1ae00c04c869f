import { HeadgateError } from "../../errors.ts";
import { newestEvents } from "../../hub/history.ts";
import type { Source } from "../../hub/source.ts";
import { isEvent } from "../../hub/page.ts";
import { isFor } from "../../hub/subscription.ts";
import { envelopeOf } from "../../sse/envelope.ts";
import { toEvent } from "../../sse/event.ts";
import type { HttpContext, Route } from "../context.ts";
import { Query } from "../query.ts";
import { FILTER_PARAMETERS, parseSubscription } from "../subscribe-query.ts";

/** What one answer may hold. */
const MAX_LIMIT = 1000;
const MAX_BYTES = 8 << 20;

/** Nobody in particular: look-ups show what names nobody, and the channels that were asked for. */
const NOBODY = undefined;

/** GET /events/recent: the newest events, newest first. */
export const recentRoute: Route = {
  path: "/events/recent",
  summary: "GET lists the newest events, newest first",
  methods: {
    GET: async (context, { request }) => {
      const query = new Query(request.url, [...FILTER_PARAMETERS, "limit"]);
      const subscription = parseSubscription(query, context.topics);
      const limit = query.integer("limit", { min: 1, max: MAX_LIMIT }) ?? 10;
      const { log } = sourceOf(context);
      const envelopes: string[] = [];
      let bytes = 0;
      let truncated = false;
      const search = newestEvents(log, { subscription, identity: NOBODY }, (event) => {
        const envelope = envelopeOf(event);
        bytes += Buffer.byteLength(envelope);
        truncated = bytes > MAX_BYTES && envelopes.length > 0;
        if (truncated) return "enough";
        envelopes.push(envelope);
        return envelopes.length < limit ? "more" : "enough";
      });
      await context.hub.turns.run(search);
      return raw(`{"events":[${envelopes.join(",")}],"truncated":${truncated}}`);
    },
  },
};

/** GET /events/{topic}/{partition}/{offset}: one event, by where it lies in Kafka. */
export const lookUpRoute: Route = {
  path: "/events/:topic/:partition/:offset",
  summary: "GET looks one event up by its coordinates",
  methods: {
    GET: (context, { request, path }) => {
      const query = new Query(request.url, ["channels"]);
      const { topic = "", partition = "", offset = "" } = path;
      const subscription = { ...parseSubscription(query, context.topics), topics: [topic] };
      const { log } = sourceOf(context);
      const isServed =
        context.topics.includes(topic) && NUMBER.test(partition) && NUMBER.test(offset);
      const entry = isServed ? log.find(topic, Number(partition), Number(offset)) : undefined;
      const event = entry && isEvent(entry) ? toEvent(entry) : undefined;
      if (!event || !isFor(event, subscription, NOBODY)) {
        throw new HeadgateError("event-not-found", "The local log holds no such event");
      }
      return raw(envelopeOf(event));
    },
  },
};

const NUMBER = /^(?:0|[1-9]\d{0,15})$/;

function sourceOf({ hub }: HttpContext): Source {
  if (hub.source) return hub.source;
  throw new HeadgateError("not-ready", "The server is not ready yet; /readyz says why");
}

/** JSON that is text already: its numbers keep their digits. */
function raw(text: string): Response {
  return new Response(`${text}\n`, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
