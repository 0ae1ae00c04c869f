import { allows, type Principal } from "../../auth/principal.ts";
import { HeadgateError } from "../../errors.ts";
import type { OutgoingRecord } from "../../log/publisher.ts";
import type { PublishContext } from "../../publishing/event-rules.ts";
import { type HttpContext, json, type RouteHandler, type RouteRequest } from "../context.ts";
import { PUBLISH_PARAMETERS } from "../parameters.ts";
import { readRecords } from "../publish-body.ts";
import { senderName } from "../publish-rate.ts";
import { Query } from "../query.ts";

/** POST /events: events in any of their forms, durable when the answer comes. */
export const publish: RouteHandler = async (context, route) => {
  const { request } = route;
  const topic = new Query(request.url, PUBLISH_PARAMETERS).get("topic");
  const rules = publishRules(context, route.principal, topic);
  const { maxBodyBytes } = context;
  return publishRecords(context, route, await readRecords(request, { ...rules, maxBodyBytes }));
};

/** What a principal may publish. @throws HeadgateError `forbidden` where that is nothing. */
export function publishRules(
  { publishing }: HttpContext,
  principal: Principal,
  topic = publishing.defaultTopic,
): PublishContext {
  if (principal.publish.length === 0) {
    throw new HeadgateError(
      "forbidden",
      principal.token
        ? "The token does not allow publishing"
        : "Publishing without a token is for loopback; see ALLOW_ANONYMOUS_PUBLISH",
    );
  }
  return {
    topics: publishing.topics,
    defaultTopic: topic,
    mayPublish: (name) => allows(principal.publish, name),
    mayTarget: (channel) => allows(principal.channels, channel),
  };
}

/** Publishes what a request holds, within its rate, once under its Idempotency-Key; the answer. */
export async function publishRecords(
  context: HttpContext,
  route: RouteRequest,
  records: readonly OutgoingRecord[],
): Promise<Response> {
  const { hub, publishing, rate } = context;
  const { user } = route.principal;
  if (hub.isDraining) {
    throw new HeadgateError("shutting-down", "The server is stopping", { mayBeStored: false });
  }
  const sender = senderName({ user, address: route.address() });
  const retryAfterS = await rate.admit(sender, records.length, performance.now());
  if (retryAfterS !== undefined) {
    throw new HeadgateError("rate-limited", "Too many events a second (SSE_PUBLISH_RATE)", {
      retryAfterS,
      mayBeStored: false,
    });
  }
  const key = route.request.headers.get("idempotency-key");
  const idempotency = key === null ? undefined : { key, publisher: user ?? "" };
  return json(await publishing.publish(records, idempotency));
}
