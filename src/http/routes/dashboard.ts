import { json, type Route } from "../context.ts";
import { limitedStream } from "../limited-stream.ts";

/** GET /stream/dashboard. `Last-Event-ID` changes nothing: whoever comes back gets the newest update. */
const dashboardStreamRoute: Route = {
  path: "/stream/dashboard",
  access: "status",
  summary: "GET streams the dashboard (SSE), an update each SSE_UPDATE_INTERVAL",
  methods: {
    GET: (context, route) => {
      const { updates } = context;
      return limitedStream(context, route, {
        encoding: "plain",
        user: route.principal.user,
        open: (stream) => {
          const watcher = updates.open(stream);
          return { onDrain: () => updates.onDrain(watcher), onGone: () => updates.onGone(watcher) };
        },
      });
    },
  },
};

const dashboardRoute: Route = {
  path: "/api/dashboard",
  access: "status",
  summary: "GET gives the dashboard as it is now",
  methods: {
    GET: async ({ dashboard }) => {
      const data = await dashboard.recentJson();
      // What is JSON already is not written again for everybody who asks.
      return new Response(`{"success":true,"data":${data},"timestamp":${Date.now()}}\n`, {
        headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
      });
    },
  },
};

const statusRoute: Route = {
  path: "/api/status",
  access: "status",
  summary: "GET says how many are connected, and what they got",
  methods: {
    GET: async ({ dashboard }) => json({ success: true, data: await dashboard.status() }),
  },
};

/** The dashboard, as a document and as a stream. */
export const DASHBOARD_ROUTES: readonly Route[] = [
  dashboardStreamRoute,
  dashboardRoute,
  statusRoute,
];
