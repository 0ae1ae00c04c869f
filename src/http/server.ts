import { HeadgateError, quote } from "../errors.ts";
import { type HttpContext, json, type Route, type RouteRequest } from "./context.ts";
import { checkHost } from "./loopback.ts";
import { problemResponse } from "./problem.ts";
import { eventsRoute, streamRoute } from "./routes/events.ts";
import { healthRoute, livezRoute, readyzRoute } from "./routes/health.ts";
import { lookUpRoute, recentRoute } from "./routes/history.ts";
import { kafkaStatusRoute } from "./routes/kafka-status.ts";
import { metricsRoute } from "./routes/metrics.ts";

const indexRoute: Route = {
  path: "/",
  summary: "GET lists the endpoints",
  methods: {
    GET: () =>
      json({
        name: "headgate",
        endpoints: ROUTES.map(({ path, methods, summary }) => ({
          path: path.replaceAll(/:(\w+)/g, "{$1}"),
          methods: Object.keys(methods),
          summary,
        })),
      }),
  },
};

const ROUTES: readonly Route[] = [
  indexRoute,
  eventsRoute,
  streamRoute,
  recentRoute,
  lookUpRoute,
  healthRoute,
  livezRoute,
  readyzRoute,
  kafkaStatusRoute,
  metricsRoute,
];

export interface ServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly context: HttpContext;
}

/** A longer path is not one of ours: it is not even looked at. */
const MAX_PATH_LENGTH = 2048;

/** Serves HTTP. Every answer but a stream's is bounded by Bun's idle timeout of ten seconds. */
export function serve({ host, port, tls, context }: ServerOptions): Bun.Server<undefined> {
  return Bun.serve({
    hostname: host,
    port,
    ...(tls && { tls }),
    // Ours answers with a problem, Bun's with nothing. What is refused Bun reads on, and keeps none of it.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: async (request, server) => {
      try {
        const response = await answer(context, request, server);
        if (request.method !== "HEAD" || response.body === null) return response;
        return new Response(null, { status: response.status, headers: response.headers });
      } catch (error) {
        return problemResponse(error, context.logger);
      }
    },
  });
}

function answer(
  context: HttpContext,
  request: Request,
  server: Bun.Server<undefined>,
): Response | Promise<Response> {
  checkHost({ bindHost: context.bindHost, headers: request.headers }, context.allowedHosts);
  const { route, path } = findRoute(request.url);
  const { method } = request;
  const handler =
    method === "POST"
      ? route.methods.POST
      : method === "GET" || method === "HEAD"
        ? route.methods.GET
        : undefined;
  if (!handler) {
    const allow = Object.keys(route.methods)
      .map((name) => (name === "GET" ? "GET, HEAD" : name))
      .join(", ");
    throw new HeadgateError(
      "method-not-allowed",
      `Method ${quote(method)} is not allowed here; use ${allow}`,
      { allow },
    );
  }
  return handler(context, { request, server, path });
}

function findRoute(url: string): { route: Route; path: RouteRequest["path"] } {
  // Without a Host (HTTP/1.0) Bun has no origin to put before the path.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("//") + 2);
  const [path = "/"] = (start === -1 ? "/" : url.slice(start)).split(/[?#]/, 1);
  const parts = path.length <= MAX_PATH_LENGTH ? path.split("/") : [];
  for (const route of ROUTES) {
    const values = match(route.path.split("/"), parts);
    if (values) return { route, path: values };
  }
  throw new HeadgateError("endpoint-not-found", `Nothing is served at ${quote(path)}; see GET /`);
}

function match(
  pattern: readonly string[],
  parts: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const values: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    const part = parts[i] ?? "";
    if (expected.startsWith(":")) values[expected.slice(1)] = decode(part);
    else if (expected !== part) return undefined;
  }
  return values;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
