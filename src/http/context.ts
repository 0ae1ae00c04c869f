import type { Aggregation } from "../aggregate/aggregation.ts";
import type { Authenticator, Principal } from "../auth/principal.ts";
import type { Cidr } from "../cidr.ts";
import type { Dashboard } from "../dashboard/dashboard.ts";
import type { DashboardUpdates } from "../dashboard/dashboard-updates.ts";
import type { Hub } from "../hub/hub.ts";
import type { SourceStatus } from "../log/source.ts";
import type { Metrics } from "../metrics.ts";
import type { Publishes } from "../publishing/publishing.ts";
import type { StreamLimits } from "./connection-limits.ts";
import type { Cors } from "./cors.ts";
import type { Deflater } from "./gzip-deflater.ts";
import type { PublishRate } from "./publish-rate.ts";
import type { RequestLog } from "./request-log.ts";

/** Port. What feeds those who serve: the same process, or the one that feeds all workers. */
export interface Backend {
  readonly publishing: Publishes;
  readonly limits: StreamLimits;
  readonly rate: {
    /** As `PublishRate.admit`. */
    readonly admit: (
      ...args: Parameters<PublishRate["admit"]>
    ) => number | undefined | Promise<number | undefined>;
  };
  /** What keeps the server from being ready, for people to read; empty: it is ready. */
  readonly missing: () => readonly string[];
  /** What works only in part. */
  readonly degraded: () => readonly string[];
  readonly kafkaStatus: () => Promise<KafkaStatus>;
  /** The metrics of all processes, as Prometheus reads them. */
  readonly metricsPage: () => Promise<string>;
  readonly dashboard: {
    /** The dashboard's JSON, at most a second old. */
    readonly recentJson: () => Promise<string>;
    /** The same, made now. */
    readonly newJson: () => Promise<string>;
    readonly status: Dashboard["status"];
  };
}

/** What the routes work with. */
export interface HttpContext extends Backend {
  readonly hub: Hub;
  readonly metrics: Metrics;
  readonly log: RequestLog;
  /** Served topics. */
  readonly topics: readonly string[];
  readonly bindHost: string;
  readonly allowedHosts: readonly string[];
  readonly maxBodyBytes: number;
  readonly authenticator: Authenticator;
  readonly cors: Cors;
  /** Compresses streams whose client accepts gzip; undefined: none. */
  readonly deflater: Deflater | undefined;
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Cidr[];
  /** The streams of the dashboard. */
  readonly updates: DashboardUpdates;
  /** Whether browsers get the live console at `/`. */
  readonly hasConsole: boolean;
}

/** What `GET /kafka/status` answers. */
export type KafkaStatus = SourceStatus & {
  readonly consumer: {
    /** null: the log is not there yet. */
    readonly currentAggregation: Aggregation | null;
  };
};

/** One request on its way to a route. */
export interface RouteRequest {
  readonly request: Request;
  /** By which it is found in the log. */
  readonly requestId: string;
  readonly server: Bun.Server<undefined>;
  /** What the path's placeholders hold, percent-decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly principal: Principal;
  /** Where it comes from, as limits count. */
  readonly address: () => string;
}

export type RouteHandler = (
  context: HttpContext,
  request: RouteRequest,
) => Response | Promise<Response>;

/**
 * Who may come: everybody, even without the token that AUTH=jwt asks for; whoever may see the
 * status; or whoever is known, and then the route looks at what that one may do.
 */
export type Access = "open" | "status" | "caller";

/** A path and what answers it. `/events/:topic` has the placeholder `topic`. */
export interface Route {
  readonly path: string;
  readonly access: Access | ((request: Request, context: HttpContext) => Access);
  /** Shown at `GET /`. */
  readonly summary: string;
  /** HEAD goes where GET goes, and loses the body. */
  readonly methods: Readonly<Partial<Record<"GET" | "POST", RouteHandler>>>;
}

/** Compact JSON with a line's end, for curl. */
export function json(body: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
