import type { Operation } from "./operation.ts";
import type { SchemaName } from "./schemas.ts";

/** What most of them have in common: a GET without parameters, and a document as its answer. */
function page(
  id: string,
  summary: string,
  { permission, schema }: Pick<Operation, "permission"> & { schema: SchemaName },
): Operation {
  return {
    id,
    tag: "Watching",
    summary,
    permission,
    query: [],
    headers: [],
    answers: { 200: { description: summary, content: { "application/json": { schema } } } },
    problems: {},
  };
}

const health = page("getHealth", "Says that the process serves", {
  permission: undefined,
  schema: "Health",
});

const ready = page("getReadiness", "Says whether new streams should come here", {
  permission: undefined,
  schema: "Ready",
});

const metrics = page("getMetrics", "Gives the counters to Prometheus", {
  permission: "status",
  schema: "MetricsText",
});

const index = page("listEndpoints", "Lists the endpoints; browsers get the live console", {
  permission: "status",
  schema: "Index",
});

export const WATCHING = {
  "GET /": {
    ...index,
    description: "The console's page (text/html, where that is preferred) needs no permission.",
    answers: {
      200: {
        description: index.summary,
        content: { "application/json": { schema: "Index" }, "text/html": {} },
      },
    },
  },
  "GET /health": health,
  "GET /livez": { ...health, id: "getLiveness" },
  "GET /readyz": {
    ...ready,
    answers: {
      ...ready.answers,
      503: {
        description: "Not every partition has been read yet, or the server is stopping",
        content: { "application/json": { schema: "Unready" } },
      },
    },
  },
  "GET /kafka/status": page(
    "getKafkaStatus",
    "Says how far each partition has been read, and what came",
    {
      permission: "status",
      schema: "KafkaState",
    },
  ),
  "GET /api/status": page("getStatus", "Says how many are connected, and what they got", {
    permission: "status",
    schema: "StatusAnswer",
  }),
  "GET /api/dashboard": page("getDashboard", "Gives the dashboard as it is now", {
    permission: "status",
    schema: "DashboardAnswer",
  }),
  "GET /stream/dashboard": {
    id: "streamDashboard",
    tag: "Watching",
    summary: "Streams the dashboard, an update at once and one each SSE_UPDATE_INTERVAL",
    description: "Who comes back gets the newest update; `Last-Event-ID` changes nothing.",
    permission: "status",
    query: [],
    headers: [],
    answers: {
      200: {
        description: "An endless stream of Server-Sent Events, whatever is accepted",
        content: { "text/event-stream": { itemSchema: "DashboardItem" } },
      },
    },
    problems: { 429: ["too-many-connections"], 503: ["overloaded", "shutting-down"] },
  },
  "GET /metrics": {
    ...metrics,
    answers: {
      200: { description: metrics.summary, content: { "text/plain": { schema: "MetricsText" } } },
    },
  },
  "GET /openapi.json": page("getOpenApi", "Describes all of this", {
    permission: "status",
    schema: "OpenApiDocument",
  }),
} as const satisfies Readonly<Record<string, Operation>>;
