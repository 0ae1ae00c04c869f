import { readFileSync } from "node:fs";
import packageJson from "../package.json" with { type: "json" };
import { Aggregator } from "./aggregate/aggregator.ts";
import type { Config } from "./config.ts";
import type { DashboardSource } from "./dashboard/dashboard-data.ts";
import { ConnectionLimits } from "./http/connection-limits.ts";
import { createPublishRate } from "./http/publish-rate.ts";
import type { Connections } from "./hub/connections.ts";
import { takeDataDir } from "./log/data-dir.ts";
import type { ReadableLog } from "./log/readable-log.ts";
import type { Logger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { type Publishes, Publishing } from "./publishing/publishing.ts";
import type { Front } from "./serving/front.ts";
import { LocalFront } from "./serving/local-front.ts";
import { openEmbedded } from "./sources/embedded.ts";
import { warningsOf } from "./warnings.ts";
import { watch } from "./watching.ts";

export interface ServerOptions {
  readonly config: Config;
  /** What `config` was read from: workers read it again. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly dashboardSource?: DashboardSource | undefined;
}

/** A running server. */
export interface RunningServer {
  /** Where it listens, without a path. */
  readonly url: string;
  /** Resolves when every partition has been read up to where it ended at the start. */
  readonly ready: Promise<void>;
  readonly publishing: Publishes;
  readonly connections: () => Connections | Promise<Connections>;
  /** Drains: closes every stream within the grace, awaits publishes under way, then lets go of everything. */
  stop(): Promise<void>;
}

/**
 * Puts the parts together and serves.
 * @throws HeadgateError where the data directory or the port cannot be had; nothing is held then.
 */
export async function startServer({
  config,
  environment,
  logger,
  dashboardSource,
}: ServerOptions): Promise<RunningServer> {
  const { server: serverConfig, streams, publishing: limits, topics } = config;
  const { version } = packageJson;
  const mode = config.kafka ? "kafka" : "embedded";
  logger.info({ version, bun: Bun.version, mode, topics }, "server is starting");
  for (const warning of warningsOf(config)) logger.warn({ warning }, "settings seldom meant");
  const metrics = createMetrics();
  metrics.buildInfo.set({ version, bun: Bun.version, mode }, 1);
  await using held = new AsyncDisposableStack();
  const dataDir = held.use(takeDataDir(config.log.dataDir));
  // The Kafka client is loaded where there is a Kafka: without one the start takes a quarter less.
  const open = config.kafka ? (await import("./sources/kafka.ts")).openKafka : openEmbedded;
  const source = open({ config, dataDir, logger, metrics });
  held.defer(() => source.close());
  const front: Front = held.use(
    serverConfig.workers === 1
      ? new LocalFront({ config, logger, metrics })
      : new (await import("./serving/worker-pool.ts")).WorkerPool({
          ...serverConfig,
          environment,
          logger,
          metrics,
        }),
  );
  const listening = Promise.withResolvers<void>();
  let isStopping = false;
  let log: ReadableLog | undefined;
  let aggregator: Aggregator | undefined;
  held.defer(() => {
    isStopping = true;
    aggregator?.[Symbol.dispose]();
    aggregator = undefined;
  });
  const ready = source.ready.then((opened) => {
    if (isStopping) return;
    log = opened.log;
    front.attach(opened);
    const { fields, dashboardTopic } = config.watching;
    aggregator = new Aggregator({
      log: opened.log,
      turns: front.turns,
      topics,
      fields,
      dashboardTopic,
      logger: logger.child({ part: "aggregate" }),
    });
    // For those who read the log: the embedded log is there before anybody can come.
    void listening.promise.then(() => logger.info("server is ready"));
  });
  ready.catch((error: unknown) => {
    if (!isStopping) logger.error({ err: error }, "source could not be opened");
  });
  const publishing = new Publishing({
    publisher: source.publisher,
    log: () => log,
    streams: front,
    topics: config.heldTopics,
    defaultTopic: streams.defaultTopic,
    maxEventBytes: limits.maxEventBytes,
    metrics,
  });
  const watched = held.use(
    watch({
      config,
      logger,
      metrics,
      front,
      source,
      dashboardSource,
      log: () => log,
      aggregator: () => aggregator,
    }),
  );
  const url = await front.listen({
    publishing,
    limits: new ConnectionLimits({
      maxConnections: connectionLimit(streams.maxConnections, serverConfig.workers, logger),
      maxPerAddress: streams.maxConnectionsPerAddress,
      maxPerUser: streams.maxConnectionsPerUser,
    }),
    rate: createPublishRate(limits.rate),
    degraded: source.degraded,
    missing: watched.missing,
    kafkaStatus: watched.kafkaStatus,
    metricsPage: async () => (await front.registry()).metrics(),
    dashboard: watched.dashboard,
  });
  const everything = held.move();
  logger.info({ url }, "server is listening");
  listening.resolve();
  return {
    url,
    ready,
    publishing,
    connections: () => front.connections(),
    async stop() {
      isStopping = true;
      logger.info({ graceMs: serverConfig.shutdownGraceMs }, "server is stopping");
      // Publishes under way are awaited, and then answered, all within the grace.
      const graceMs = Math.max(0, serverConfig.shutdownGraceMs - ANSWER_MS);
      const late = Promise.withResolvers<void>();
      // Cleared: a process would live on for it.
      const timer = setTimeout(late.resolve, graceMs);
      await Promise.race([
        Promise.all([front.drain(graceMs), source.publisher.close()]),
        late.promise,
      ]).finally(() => clearTimeout(timer));
      await front.close(ANSWER_MS);
      await everything.disposeAsync();
      logger.info("server has stopped");
    },
  };
}

/** How long the last answers may take to leave. */
const ANSWER_MS = 500;

/** Files that are kept for everything but streams. */
const RESERVED_FILES = 256;

/** Never more streams than the processes that serve may have files. */
function connectionLimit(wanted: number, workers: number, logger: Logger): number {
  const files = openFilesLimit();
  const possible = workers * Math.max(1, files - RESERVED_FILES);
  if (wanted <= possible) return wanted;
  logger.info({ wanted, limit: possible, files }, "streams are limited by the open files limit");
  return possible;
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
