import type { Route } from "../context.ts";

export const metricsRoute: Route = {
  path: "/metrics",
  access: "status",
  summary: "GET gives the counters to Prometheus",
  methods: {
    GET: async ({ metricsPage, metrics: { registry } }) =>
      new Response(await metricsPage(), { headers: { "Content-Type": registry.contentType } }),
  },
};
