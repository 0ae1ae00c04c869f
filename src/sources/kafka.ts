import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "../config.ts";
import { describeKafkaError } from "../kafka/client.ts";
import { KafkaFeed } from "../kafka/feed.ts";
import { KafkaMetadata } from "../kafka/metadata.ts";
import { KafkaPublisher } from "../kafka/publisher.ts";
import { EventLog } from "../log/event-log.ts";
import { startRetention } from "../log/retention.ts";
import type { OpenedSource, OpenSource, SourceOptions } from "./source.ts";

/** Between two answers of Kafka that say a position lies beyond a partition's end. */
const AHEAD_CONFIRM_MS = 5000;

/** Between two looks at whether the cluster is there, or the feed has caught up. */
const POLL_MS = 100;

/** What exists once the cluster's id is known, and with it the log's file. */
interface Opened {
  readonly log: EventLog;
  readonly path: string;
  readonly feed: KafkaFeed;
  readonly retention: Disposable;
}

/** With Kafka: the server is up at once, and ready when Kafka has been there and was read to its ends. */
export function openKafka({ config, dataDir, logger, metrics }: SourceOptions): OpenSource {
  const kafka = requireKafka(config);
  const kafkaLogger = logger.child({ part: "kafka" });
  const metadata = new KafkaMetadata(kafka, kafkaLogger);
  const closing = new AbortController();
  let opened: Opened | undefined;
  let unreachable = "Kafka has not answered yet";

  const open = async (): Promise<Opened> => {
    const clusterId = await untilAnswered(
      () => metadata.clusterId(),
      closing.signal,
      (error) => {
        const reason = `Kafka cannot be reached: ${describeKafkaError(error)}`;
        if (reason !== unreachable) kafkaLogger.warn({ reason }, "Kafka is not there yet");
        unreachable = reason;
      },
    );
    const path = dataDir.logFile(clusterId);
    const log = new EventLog({ path, durable: false });
    const feed = new KafkaFeed({
      kafka,
      topics: config.heldTopics,
      log,
      logger: kafkaLogger,
      metrics,
      ...(kafka.createTopics && {
        createTopics: { partitions: kafka.partitions, replicationFactor: kafka.replicationFactor },
      }),
      retentionMs: config.log.retentionMs,
      maxBytes: config.log.maxBytes,
      maxEventBytes: config.publishing.maxEventBytes,
    });
    feed.start();
    opened = { log, path, feed, retention: startRetention(log, { ...config.log, logger }) };
    return opened;
  };

  const ready = open().then(async ({ log, path, feed }): Promise<OpenedSource> => {
    while (!feed.isReady()) await delay(POLL_MS, undefined, { signal: closing.signal });
    return { log, path, ends: metadata, aheadConfirmMs: AHEAD_CONFIRM_MS };
  });

  const publisher = new KafkaPublisher({
    kafka,
    logger: kafkaLogger,
    metrics,
    topics: config.heldTopics,
    partitionCount: (topic) => opened?.log.topic(topic)?.offsets.length ?? 0,
    timeoutMs: config.publishing.timeoutMs,
  });

  return {
    ready,
    publisher,
    missing: () => {
      if (!opened) return [unreachable];
      return opened.feed.isReady() ? [] : opened.feed.status().missing;
    },
    degraded: () => {
      const isConnected = opened?.feed.status().connected ?? false;
      return [...(isConnected ? [] : ["kafka"]), ...(opened?.log.fault ? ["disk"] : [])];
    },
    status: () => {
      const producer = { connected: publisher.isConnected() };
      if (!opened) {
        const nothing = { connected: false, groupId: null, partitions: [] };
        return {
          mode: "kafka",
          stale: true,
          producer,
          consumer: { ...nothing, lastError: unreachable },
        };
      }
      const { stale, asOf, missing: _, ...consumer } = opened.feed.status();
      return {
        mode: "kafka",
        ...(stale && { stale }),
        ...(asOf !== undefined && { asOf }),
        producer,
        consumer,
      };
    },
    async close() {
      closing.abort();
      await publisher.close();
      await ready.catch(() => {
        // Aborted before it was ready.
      });
      await opened?.feed.stop();
      metadata.close();
      opened?.retention[Symbol.dispose]();
      opened?.log[Symbol.dispose]();
    },
  };
}

function requireKafka({ kafka }: Config): NonNullable<Config["kafka"]> {
  if (!kafka) throw new Error("No brokers are configured");
  return kafka;
}

async function untilAnswered<T>(
  ask: () => Promise<T>,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<T> {
  for (let waitMs = POLL_MS; ; waitMs = Math.min(waitMs * 2, 2000)) {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      onError(error);
      await delay(waitMs, undefined, { signal });
    }
  }
}
