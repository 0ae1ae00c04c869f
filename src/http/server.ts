import type { Principal } from "../auth/principal.ts";
import { HeadgateError, quote } from "../errors.ts";
import { clientAddress } from "./client-address.ts";
import type { Access, HttpContext, Route, RouteRequest } from "./context.ts";
import { checkHost, isLocal, isLoopbackHost } from "./loopback.ts";
import { problemResponse } from "./problem.ts";
import { requestIdOf } from "./request-id.ts";
import { CONSOLE_ROUTES } from "./routes/console.ts";
import { DASHBOARD_ROUTES } from "./routes/dashboard.ts";
import { eventsRoute, explainRoute, streamRoute } from "./routes/events.ts";
import { healthRoute, livezRoute, readyzRoute } from "./routes/health.ts";
import { lookUpRoute, recentRoute } from "./routes/history.ts";
import { kafkaStatusRoute } from "./routes/kafka-status.ts";
import { metricsRoute } from "./routes/metrics.ts";
import { notificationsRoute } from "./routes/notifications.ts";
import { openApiRoute } from "./routes/openapi.ts";
import { createRootRoute } from "./routes/root.ts";
import { shed, wantsStream } from "./shed.ts";

/** What `GET /` lists. */
const ROUTES: readonly Route[] = [
  createRootRoute(() => ROUTES),
  eventsRoute,
  streamRoute,
  explainRoute,
  recentRoute,
  lookUpRoute,
  notificationsRoute,
  healthRoute,
  livezRoute,
  readyzRoute,
  kafkaStatusRoute,
  ...DASHBOARD_ROUTES,
  metricsRoute,
  openApiRoute,
];

const WITH_CONSOLE: readonly Route[] = [...ROUTES, ...CONSOLE_ROUTES];

export interface ServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Whether other processes of this instance listen there too (SO_REUSEPORT). */
  readonly isShared: boolean;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly context: HttpContext;
}

/** A longer path is not one of ours: it is not even looked at. */
const MAX_PATH_LENGTH = 2048;

/** Serves HTTP. */
export function serve({
  host,
  port,
  isShared,
  tls,
  context,
}: ServerOptions): Bun.Server<undefined> {
  return Bun.serve({
    hostname: host,
    port,
    reusePort: isShared,
    ...(tls && { tls }),
    // Ours answers with a problem, Bun's with nothing. What is refused Bun reads on, and keeps none of it.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: async (request, server) => {
      const sinceMs = performance.now();
      const requestId = requestIdOf(request);
      const response = await respond(request, requestId, server);
      response.headers.set("X-Request-Id", requestId);
      const { method, url } = request;
      const { status } = response;
      context.metrics.requests.inc({ status: `${Math.floor(status / 100)}xx` });
      context.log.answered({ requestId, method, url, status, sinceMs });
      return context.cors.apply(request, response);
    },
  });

  async function respond(
    request: Request,
    requestId: string,
    server: Bun.Server<undefined>,
  ): Promise<Response> {
    try {
      const response = await answer(context, { request, requestId, server });
      if (request.method !== "HEAD" || response.body === null) return response;
      return new Response(null, { status: response.status, headers: response.headers });
    } catch (error) {
      return (
        retryLater(context, request, requestId, error) ?? problemResponse(error, context, requestId)
      );
    }
  }
}

/** Keys that check tokens cannot be fetched: an EventSource would give up for good on a 503. */
function retryLater(
  { log, metrics }: HttpContext,
  request: Request,
  requestId: string,
  error: unknown,
): Response | undefined {
  const isPassing = error instanceof HeadgateError && error.code === "not-ready";
  if (!isPassing || request.method !== "GET" || !wantsStream(request)) return undefined;
  log.failed(requestId, error.code, error.details.cause);
  return shed(request, "overloaded", metrics);
}

function answer(
  context: HttpContext,
  { request, requestId, server }: Pick<RouteRequest, "request" | "requestId" | "server">,
): Response | Promise<Response> {
  checkHost({ bindHost: context.bindHost, headers: request.headers }, context.allowedHosts);
  const { route, path } = findRoute(context.hasConsole ? WITH_CONSOLE : ROUTES, request.url);
  const { method } = request;
  // Without a token: browsers ask before they send one.
  if (method === "OPTIONS") return context.cors.preflight(request, methodsOf(route));
  const handler =
    method === "POST"
      ? route.methods.POST
      : method === "GET" || method === "HEAD"
        ? route.methods.GET
        : undefined;
  if (!handler) {
    const allow = methodsOf(route).join(", ");
    throw new HeadgateError(
      "method-not-allowed",
      `Method ${quote(method)} is not allowed here; use ${allow}`,
      { allow },
    );
  }
  const access = typeof route.access === "string" ? route.access : route.access(request, context);
  const handle = (principal: Principal): Response | Promise<Response> => {
    authorize(context, request, access, principal);
    return handler(context, { request, requestId, server, path, principal, address });
  };
  let known: string | undefined;
  // To ask Bun takes as long as to parse the request: once is enough.
  const peer = (): string | undefined => (known ??= server.requestIP(request)?.address);
  const { headers } = request;
  const address = (): string =>
    clientAddress({ peer: peer(), headers, trusted: context.trustedProxies });
  const principal = authenticate(context, request, peer, access);
  return principal instanceof Promise ? principal.then(handle) : handle(principal);
}

/** What an open route sees of whoever asks. */
const ANYBODY: Principal = {
  user: undefined,
  username: undefined,
  clientId: undefined,
  mayNameItself: false,
  subscribe: [],
  publish: [],
  channels: [],
  status: false,
  token: undefined,
};

function authenticate(
  { authenticator, bindHost, cors }: HttpContext,
  request: Request,
  peer: () => string | undefined,
  access: Access,
): Principal | Promise<Principal> {
  if (access === "open") return ANYBODY;
  const { headers, url } = request;
  return authenticator.authenticate({
    headers,
    url,
    isLocal: () => isLocal({ bindHost, peer: peer(), headers }) && !isForeignPage(request, cors),
  });
}

/**
 * Whether some web page has a browser on this machine ask, one that is neither of this machine nor
 * listed: it may read where SSE_CORS_ORIGIN is `*`, but it is not somebody who sits here.
 */
function isForeignPage(request: Request, cors: HttpContext["cors"]): boolean {
  const origin = request.headers.get("origin");
  if (origin === null) return false;
  if (URL.canParse(origin) && isLoopbackHost(new URL(origin).hostname)) return false;
  return !cors.isOriginAllowed(request, request.headers.get("host"));
}

/** @throws HeadgateError `forbidden`. */
function authorize(
  { cors }: HttpContext,
  request: Request,
  access: Access,
  { status, token }: Principal,
): void {
  if (access === "status" && !status) {
    throw new HeadgateError("forbidden", "The token does not have the claim status");
  }
  // A browser sends cookies whichever page makes it ask: the page's origin says who asks.
  const isForged =
    request.method === "POST" &&
    token?.from === "cookie" &&
    !cors.isOriginAllowed(request, request.headers.get("host"));
  if (isForged) {
    throw new HeadgateError(
      "forbidden",
      "A POST with the token in a cookie needs an allowed Origin; see SSE_CORS_ORIGIN",
    );
  }
}

function methodsOf({ methods }: Route): string[] {
  const names = Object.keys(methods).flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : name));
  return [...names, "OPTIONS"];
}

function findRoute(
  routes: readonly Route[],
  url: string,
): { route: Route; path: RouteRequest["path"] } {
  // Without a Host (HTTP/1.0) Bun has no origin to put before the path.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("//") + 2);
  const [path = "/"] = (start === -1 ? "/" : url.slice(start)).split(/[?#]/, 1);
  const parts = path.length <= MAX_PATH_LENGTH ? path.split("/") : [];
  for (const route of routes) {
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
