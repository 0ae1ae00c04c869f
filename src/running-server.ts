import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import type { Aggregation } from "./aggregate/aggregation.ts";
import { Aggregator } from "./aggregate/aggregator.ts";
import { createAuthenticator } from "./auth/authenticator.ts";
import type { Config } from "./config.ts";
import { Dashboard } from "./dashboard/dashboard.ts";
import type { DashboardSource, RecentError } from "./dashboard/dashboard-data.ts";
import { DashboardUpdates } from "./dashboard/dashboard-updates.ts";
import { createSanitizer } from "./dashboard/sanitizer.ts";
import { HeadgateError } from "./errors.ts";
import { ConnectionLimits } from "./http/connection-limits.ts";
import type { HttpContext } from "./http/context.ts";
import { createCors } from "./http/cors.ts";
import { FaultLog } from "./http/fault-log.ts";
import { createPublishRate } from "./http/publish-rate.ts";
import { serve } from "./http/server.ts";
import { setSocketOptions } from "./http/socket-options.ts";
import type { Connections } from "./hub/connections.ts";
import { Hub } from "./hub/hub.ts";
import { takeDataDir } from "./log/data-dir.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics, watchEventLoop } from "./metrics.ts";
import { Publishing } from "./publishing/publishing.ts";
import { openEmbedded } from "./sources/embedded.ts";
import type { OpenSource } from "./sources/source.ts";
import { warningsOf } from "./warnings.ts";

/** A running server. */
export interface RunningServer {
  /** Where it listens, without a path. */
  readonly url: string;
  readonly metrics: Metrics;
  /** Resolves when every partition has been read up to where it ended at the start. */
  readonly ready: Promise<void>;
  readonly publishing: Publishing;
  readonly connections: () => Connections;
  /** Drains: closes every stream within the grace, awaits publishes under way, then lets go of everything. */
  stop(): Promise<void>;
}

/** What the application that runs the server adds to it. */
export interface ServerAdditions {
  /** Makes its sections of the dashboard. */
  readonly dashboardSource?: DashboardSource | undefined;
  /** The last warnings and errors of the log, newest first. */
  readonly recentErrors?: () => readonly RecentError[];
}

/**
 * Puts the parts together and serves.
 * @throws HeadgateError where the data directory or the port cannot be had; nothing is held then.
 */
export async function startServer(
  config: Config,
  logger: Logger,
  additions: ServerAdditions = {},
): Promise<RunningServer> {
  for (const warning of warningsOf(config)) logger.warn({ warning }, "settings seldom meant");
  const metrics = createMetrics();
  const { server: serverConfig, streams, publishing: limits, who, topics } = config;
  const authenticator = createAuthenticator(
    who.jwt ? { mode: "jwt", ...who.jwt, ...who } : { mode: "none", ...who },
  );
  await using held = new AsyncDisposableStack();
  const dataDir = held.use(takeDataDir(config.log.dataDir));
  // The Kafka client is loaded where there is a Kafka: without one the start takes a quarter less.
  const open = config.kafka ? (await import("./sources/kafka.ts")).openKafka : openEmbedded;
  const source = open({ config, dataDir, logger, metrics });
  held.defer(() => source.close());
  // Where the kernel ends stalled connections the hub need not: see `setSocketOptions`.
  const hub = held.use(
    new Hub({ ...streams, maxAgeMs: streams.maxConnectionAgeMs, logger, metrics }),
  );
  let isStopping = false;
  let aggregator: Aggregator | undefined;
  held.defer(() => {
    isStopping = true;
    aggregator?.[Symbol.dispose]();
    aggregator = undefined;
  });
  const ready = source.ready.then((opened) => {
    if (isStopping) return;
    hub.attach(opened);
    const { fields, dashboardTopic } = config.watching;
    const { turns } = hub;
    aggregator = new Aggregator({ log: opened.log, turns, topics, fields, dashboardTopic, logger });
    logger.info("server is ready");
  });
  ready.catch((error: unknown) => {
    if (!isStopping) logger.error({ err: error }, "source could not be opened");
  });
  const publishing = new Publishing({
    publisher: source.publisher,
    hub,
    topics: config.heldTopics,
    defaultTopic: streams.defaultTopic,
    maxEventBytes: limits.maxEventBytes,
    metrics,
  });
  const watched = held.use(
    watch({ config, logger, metrics, hub, source, additions, aggregator: () => aggregator }),
  );
  const { updates } = watched.dashboard;
  const context: HttpContext = {
    hub,
    publishing,
    metrics,
    faults: new FaultLog(logger.child({ part: "http" })),
    topics,
    bindHost: serverConfig.host,
    allowedHosts: serverConfig.allowedHosts,
    maxBodyBytes: limits.maxBodyBytes,
    authenticator,
    cors: createCors(serverConfig.corsOrigins),
    limits: new ConnectionLimits({
      maxConnections: connectionLimit(streams.maxConnections, logger),
      maxPerAddress: streams.maxConnectionsPerAddress,
      maxPerUser: streams.maxConnectionsPerUser,
    }),
    rate: createPublishRate(limits.rate),
    trustedProxies: serverConfig.trustedProxies,
    missing: source.missing,
    degraded: source.degraded,
    kafkaStatus: watched.kafkaStatus,
    dashboard: watched.dashboard,
    hasConsole: serverConfig.hasConsole,
  };
  const { host, port, tls } = serverConfig;
  const server = listen({ host, port, tls, context });
  const bound = server.port ?? port;
  if (setSocketOptions(bound, streams.maxStallMs, logger)) {
    hub.leaveStallsToKernel();
    updates.leaveStallsToKernel();
  }
  const everything = held.move();
  return {
    url: server.url.href.replace(/\/$/, ""),
    metrics,
    ready,
    publishing,
    connections: () => hub.connections(),
    async stop() {
      isStopping = true;
      // Publishes under way are awaited, and then answered, all within the grace.
      const graceMs = Math.max(0, serverConfig.shutdownGraceMs - ANSWER_MS);
      await Promise.race([
        Promise.all([hub.drain(graceMs), updates.drain(graceMs), source.publisher.close()]),
        Bun.sleep(graceMs),
      ]);
      await Promise.race([server.stop(), Bun.sleep(ANSWER_MS)]);
      await server.stop(true);
      await everything.disposeAsync();
    },
  };
}

interface WatchOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly hub: Hub;
  readonly source: OpenSource;
  /** Undefined as long as there is no log. */
  readonly aggregator: () => Aggregator | undefined;
  readonly additions: ServerAdditions;
}

/** What shows how all of it is: the gauges of the metrics, the status, and the dashboard. */
function watch({
  config,
  logger,
  metrics,
  hub,
  source,
  aggregator,
  additions: { dashboardSource, recentErrors = () => [] },
}: WatchOptions): Disposable & Pick<HttpContext, "kafkaStatus" | "dashboard"> {
  const { streams, watching, topics } = config;
  const { version } = packageJson;
  metrics.buildInfo.set(
    { version, bun: Bun.version, mode: config.kafka ? "kafka" : "embedded" },
    1,
  );
  metrics.observe({
    isReady: () => hub.source !== undefined && !hub.isDraining && source.missing().length === 0,
    activities: () => hub.activities(),
    log: () => hub.source?.log,
    partitions: () => source.status().consumer.partitions,
    aggregationLag: () => aggregator()?.lag() ?? 0,
  });
  const { isSanitized, updateIntervalMs } = watching;
  const names = hostsAndGroups(config);
  const sanitizer = createSanitizer({ isSanitized, names, shown: config.heldTopics });
  const aggregation = (): Aggregation | null => aggregator()?.current() ?? null;
  const dashboardLogger = logger.child({ part: "dashboard" });
  const held = new DisposableStack();
  held.use(watchEventLoop(metrics));
  const dashboard: Dashboard = held.use(
    new Dashboard({
      metrics,
      logger: dashboardLogger,
      sanitizer,
      activities: () => hub.activities(),
      connections: () => hub.connections(),
      viewers: () => updates.size,
      isStopping: () => hub.isDraining,
      missing: source.missing,
      degraded: source.degraded,
      source: source.status,
      log: () => hub.source?.log,
      aggregation,
      aggregationLag: () => aggregator()?.lag() ?? null,
      topicSections: () => aggregator()?.sections() ?? {},
      applicationSource: dashboardSource,
      recentErrors,
      version,
      topics,
      updateIntervalMs,
      isSanitized,
      host: hostname(),
    }),
  );
  const updates = held.use(
    new DashboardUpdates({
      ...streams,
      logger: dashboardLogger,
      metrics,
      snapshot: () => dashboard.newJson(),
      intervalMs: updateIntervalMs,
      maxAgeMs: streams.maxConnectionAgeMs,
    }),
  );
  return {
    kafkaStatus: () => {
      const status = sanitizer.status(source.status());
      return { ...status, consumer: { ...status.consumer, currentAggregation: aggregation() } };
    },
    dashboard: {
      recentJson: () => dashboard.recentJson(),
      status: () => dashboard.status(),
      updates,
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** What must not be shown, also where it does not look like what it is. */
function hostsAndGroups({ kafka }: Config): string[] {
  if (!kafka) return [];
  const hosts = kafka.brokers.map((broker) => broker.replace(/:\d+$/, ""));
  return [...hosts, hostname(), kafka.groupId];
}

function listen(options: Parameters<typeof serve>[0]): Bun.Server<undefined> {
  try {
    return serve(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HeadgateError(
      "configuration",
      `Cannot listen on ${options.host}:${options.port} (${reason}); set PORT or HOST`,
      { cause: error },
    );
  }
}

/** How long the last answers may take to leave. */
const ANSWER_MS = 500;

/** Files that are kept for everything but streams. */
const RESERVED_FILES = 256;

/** Never more streams than the process may have files. */
function connectionLimit(wanted: number, logger: Logger): number {
  const files = openFilesLimit();
  if (wanted + RESERVED_FILES <= files) return wanted;
  const limit = Math.max(1, files - RESERVED_FILES);
  logger.info({ wanted, limit, files }, "streams are limited by the open files limit");
  return limit;
}

function openFilesLimit(): number {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
