import { type HttpContext, json, type Route } from "../context.ts";

const alive: Route["methods"] = {
  GET: () => json({ status: "ok", timestamp: Date.now() }),
};

export const healthRoute: Route = {
  path: "/health",
  access: "open",
  summary: "GET says that the process serves",
  methods: alive,
};

export const livezRoute: Route = { ...healthRoute, path: "/livez" };

/**
 * GET /readyz: 503 until every partition has been read up to where it ended at the start, and from
 * the first moment of a drain. In between 200: a Kafka that is away must not make a balancer drop
 * every instance at once.
 */
export const readyzRoute: Route = {
  path: "/readyz",
  access: "open",
  summary: "GET says whether new streams should come here",
  methods: {
    GET: (context) => {
      const reasons = reasonsAgainst(context);
      if (reasons.length > 0) return json({ status: "unready", missing: reasons }, 503);
      const broken = context.degraded();
      return json({ status: "ready", ...(broken.length > 0 && { degraded: broken }) });
    },
  },
};

function reasonsAgainst({ hub, missing }: HttpContext): readonly string[] {
  if (hub.isDraining) return ["the server is stopping"];
  const reasons = missing();
  // The log is handed over a moment after the last of it was read; look-ups and idempotency keys need it.
  return reasons.length === 0 && !hub.source ? ["the log is about to be served"] : reasons;
}
