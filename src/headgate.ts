import { readFileSync } from "node:fs";
import type { Config } from "./config.ts";
import { HeadgateError } from "./errors.ts";
import type { HttpContext } from "./http/context.ts";
import { serve } from "./http/server.ts";
import { setSocketOptions } from "./http/socket-options.ts";
import { Hub } from "./hub/hub.ts";
import { takeDataDir } from "./log/data-dir.ts";
import type { OutgoingRecord } from "./log/publisher.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { Publishing, type PublishResult } from "./publishing/publishing.ts";
import { openEmbedded } from "./sources/embedded.ts";
import { openKafka } from "./sources/kafka.ts";

/** A running server. */
export interface Headgate {
  /** Where it listens, without a path. */
  readonly url: string;
  readonly metrics: Metrics;
  /** Resolves when every partition has been read up to where it ended at the start. */
  readonly ready: Promise<void>;
  /** Publishes `data` (any JSON) to the default topic, for every subscriber; resolves when it is durable. */
  broadcast(data: unknown): Promise<PublishResult>;
  publish(records: readonly OutgoingRecord[]): Promise<PublishResult>;
  /** Drains: closes every stream within the grace, awaits publishes under way, then lets go of everything. */
  stop(): Promise<void>;
}

/**
 * Puts the parts together and serves.
 * @throws HeadgateError where the data directory or the port cannot be had.
 */
export function startHeadgate(config: Config, logger: Logger): Headgate {
  const metrics = createMetrics();
  const { server: serverConfig, streams, publishing: limits, who, topics } = config;
  const dataDir = takeDataDir(config.log.dataDir);
  const open = config.kafka ? openKafka : openEmbedded;
  const source = open({ config, dataDir, logger, metrics });
  // Where the kernel ends stalled connections the hub need not: see `setSocketOptions`.
  const hub = new Hub({ ...streams, maxAgeMs: streams.maxConnectionAgeMs, logger, metrics });
  const ready = source.ready.then((opened) => {
    hub.attach(opened);
    logger.info("server is ready");
  });
  let isStopping = false;
  ready.catch((error: unknown) => {
    if (!isStopping) logger.error({ err: error }, "source could not be opened");
  });
  const publishing = new Publishing({
    publisher: source.publisher,
    hub,
    topics,
    defaultTopic: streams.defaultTopic,
    maxEventBytes: limits.maxEventBytes,
    metrics,
  });
  const context: HttpContext = {
    hub,
    publishing,
    metrics,
    logger: logger.child({ part: "http" }),
    topics,
    bindHost: serverConfig.host,
    allowedHosts: serverConfig.allowedHosts,
    maxBodyBytes: limits.maxBodyBytes,
    maxConnections: connectionLimit(streams.maxConnections, logger),
    ...who,
    missing: source.missing,
    degraded: source.degraded,
    kafkaStatus: source.status,
  };
  const { host, port, tls } = serverConfig;
  const server = listen({ host, port, tls, context });
  const bound = server.port ?? port;
  if (setSocketOptions(bound, streams.maxStallMs, logger)) hub.leaveStallsToKernel();
  return {
    url: server.url.href.replace(/\/$/, ""),
    metrics,
    ready,
    publish: (records) => publishing.publish(records),
    broadcast: (data) =>
      publishing.publish([
        {
          topic: streams.defaultTopic,
          key: null,
          value: Buffer.from(JSON.stringify(data)),
          headers: [],
        },
      ]),
    async stop() {
      isStopping = true;
      // Publishes under way are awaited, and then answered, all within the grace.
      const graceMs = Math.max(0, serverConfig.shutdownGraceMs - ANSWER_MS);
      await Promise.race([
        Promise.all([hub.drain(graceMs), source.publisher.close()]),
        Bun.sleep(graceMs),
      ]);
      await Promise.race([server.stop(), Bun.sleep(ANSWER_MS)]);
      await server.stop(true);
      hub[Symbol.dispose]();
      await source.close();
      dataDir[Symbol.dispose]();
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
