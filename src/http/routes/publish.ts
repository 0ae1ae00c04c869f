import { HeadgateError } from "../../errors.ts";
import type { RouteHandler } from "../context.ts";
import { json } from "../context.ts";
import { isLocal } from "../loopback.ts";
import { readRecords } from "../publish-body.ts";

/** POST /events: one event, or an array of them, durable when the answer comes. */
export const publish: RouteHandler = async (context, { request, server }) => {
  const { publishing, bindHost, allowAnonymousPublish, hub } = context;
  const { headers } = request;
  const peer = server.requestIP(request)?.address;
  if (!allowAnonymousPublish && !isLocal({ bindHost, peer, headers })) {
    throw new HeadgateError(
      "forbidden",
      "Publishing without a token is for loopback; see ALLOW_ANONYMOUS_PUBLISH",
    );
  }
  const { topics, defaultTopic } = publishing;
  const records = await readRecords(request, {
    topics,
    defaultTopic,
    maxBodyBytes: context.maxBodyBytes,
    mayPublish: () => true,
    mayTarget: () => true,
  });
  if (hub.isDraining) {
    throw new HeadgateError("shutting-down", "The server is stopping", { mayBeStored: false });
  }
  return json(await publishing.publish(records));
};
