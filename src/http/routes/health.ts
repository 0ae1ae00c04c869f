import { json, type Route } from "../context.ts";

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
    GET: ({ hub, missing, degraded }) => {
      const reasons = hub.isDraining ? ["the server is stopping"] : missing();
      if (reasons.length > 0) return json({ status: "unready", missing: reasons }, 503);
      const broken = degraded();
      return json({ status: "ready", ...(broken.length > 0 && { degraded: broken }) });
    },
  },
};
