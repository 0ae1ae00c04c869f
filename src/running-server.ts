import { readFileSync } from "node:fs";
import packageJson from "../package.json" with { type: "json" };
import { Aggregator } from "./aggregate/aggregator.ts";
import { createAuthenticator } from "./auth/authenticator.ts";
import type { Config } from "./config.ts";
import type { DashboardSource } from "./dashboard/dashboard-data.ts";
import { HeadgateError } from "./errors.ts";
import { ConnectionLimits } from "./http/connection-limits.ts";
import type { HttpContext } from "./http/context.ts";
import { createCors } from "./http/cors.ts";
import { Deflater } from "./http/gzip-deflater.ts";
import { RequestLog } from "./http/request-log.ts";
import { createPublishRate } from "./http/publish-rate.ts";
import { serve } from "./http/server.ts";
import { setSocketOptions } from "./http/socket-options.ts";
import type { Connections } from "./hub/connections.ts";
import { Hub } from "./hub/hub.ts";
import { takeDataDir } from "./log/data-dir.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { Publishing } from "./publishing/publishing.ts";
import { openEmbedded } from "./sources/embedded.ts";
import { warningsOf } from "./warnings.ts";
import { watch } from "./watching.ts";

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

/**
 * Puts the parts together and serves.
 * @throws HeadgateError where the data directory or the port cannot be had; nothing is held then.
 */
export async function startServer(
  config: Config,
  logger: Logger,
  dashboardSource?: DashboardSource,
): Promise<RunningServer> {
  const { server: serverConfig, streams, publishing: limits, who, topics } = config;
  const { version } = packageJson;
  const mode = config.kafka ? "kafka" : "embedded";
  logger.info({ version, bun: Bun.version, mode, topics }, "server is starting");
  for (const warning of warningsOf(config)) logger.warn({ warning }, "settings seldom meant");
  const metrics = createMetrics();
  metrics.buildInfo.set({ version, bun: Bun.version, mode }, 1);
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
    aggregator = new Aggregator({
      log: opened.log,
      turns: hub.turns,
      topics,
      fields,
      dashboardTopic,
      logger: logger.child({ part: "aggregate" }),
    });
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
    watch({ config, logger, metrics, hub, source, dashboardSource, aggregator: () => aggregator }),
  );
  const { updates } = watched.dashboard;
  const context: HttpContext = {
    hub,
    publishing,
    metrics,
    log: new RequestLog(logger.child({ part: "http" })),
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
    deflater: streams.isCompressed ? new Deflater() : undefined,
    trustedProxies: serverConfig.trustedProxies,
    missing: watched.missing,
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
  const url = server.url.href.replace(/\/$/, "");
  logger.info({ url }, "server is listening");
  return {
    url,
    metrics,
    ready,
    publishing,
    connections: () => hub.connections(),
    async stop() {
      isStopping = true;
      logger.info({ graceMs: serverConfig.shutdownGraceMs }, "server is stopping");
      // Publishes under way are awaited, and then answered, all within the grace.
      const graceMs = Math.max(0, serverConfig.shutdownGraceMs - ANSWER_MS);
      await Promise.race([
        Promise.all([hub.drain(graceMs), updates.drain(graceMs), source.publisher.close()]),
        Bun.sleep(graceMs),
      ]);
      await Promise.race([server.stop(), Bun.sleep(ANSWER_MS)]);
      await server.stop(true);
      await everything.disposeAsync();
      logger.info("server has stopped");
    },
  };
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
