import { type ErrorCode, HeadgateError } from "../errors.ts";
import type { Metrics } from "../metrics.ts";
import type { RequestLog } from "./request-log.ts";

/** One HTTP status for each code. */
const STATUS: Record<ErrorCode, number> = {
  configuration: 500,
  "data-dir-locked": 500,
  "log-full": 503,
  "log-unwritable": 503,
  "not-ready": 503,
  "invalid-parameter": 400,
  "invalid-body": 400,
  "invalid-event": 422,
  "topic-not-found": 404,
  "event-not-found": 404,
  "endpoint-not-found": 404,
  "method-not-allowed": 405,
  "unsupported-media-type": 415,
  "too-large": 413,
  unauthorized: 401,
  forbidden: 403,
  overloaded: 503,
  "too-many-connections": 429,
  "rate-limited": 429,
  "shutting-down": 503,
  "publish-queue-full": 429,
  "publish-timeout": 503,
  "publish-failed": 503,
};

/** What a stranger is told instead of the server's own words: no paths, hosts or stacks. */
const PUBLIC_MESSAGES: Partial<Record<ErrorCode, string>> = {
  "log-full": "The server's disk is full; nothing was stored",
  "log-unwritable": "The server cannot write its log; nothing was stored",
  "publish-failed": "Kafka refused the write",
};

/** The answer to a request that failed: `application/problem+json` [RFC 9457], with a stable `type`. */
export function problemResponse(
  error: unknown,
  { log, metrics }: { log: RequestLog; metrics: Metrics },
  requestId: string,
): Response {
  if (!(error instanceof HeadgateError)) {
    log.failed(requestId, "internal", error);
    metrics.problems.inc({ code: "internal" });
    return respond(500, "internal", "Internal error", {}, {});
  }
  const { code, message, details } = error;
  const status = STATUS[code];
  if (status >= 500) log.failed(requestId, code, details.cause);
  metrics.problems.inc({ code });
  const headers: Record<string, string> = {};
  const retryAfterS = details.retryAfterS ?? (status === 503 || status === 429 ? 1 : undefined);
  if (retryAfterS !== undefined) headers["Retry-After"] = String(Math.ceil(retryAfterS));
  const { pointer, parameter, allow } = details;
  if (allow !== undefined) headers["Allow"] = allow;
  // [RFC 6750 §3]
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="headgate"';
  const mayBeStored =
    details.mayBeStored ?? (code === "log-full" || code === "log-unwritable" ? false : undefined);
  return respond(status, code, PUBLIC_MESSAGES[code] ?? message, headers, {
    ...(pointer !== undefined && { pointer }),
    ...(parameter !== undefined && { parameter }),
    ...(mayBeStored !== undefined && { mayBeStored }),
  });
}

function respond(
  status: number,
  tail: string,
  detail: string,
  headers: Record<string, string>,
  members: Record<string, unknown>,
): Response {
  const title = tail.charAt(0).toUpperCase() + tail.slice(1).replaceAll("-", " ");
  const body = { type: `/errors/${tail}`, title, status, detail, ...members };
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      ...headers,
    },
  });
}
