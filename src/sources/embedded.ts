import { createEmbeddedTopics, embeddedEnds, EmbeddedPublisher } from "../log/embedded.ts";
import { EventLog } from "../log/event-log.ts";
import { startRetention } from "../log/retention.ts";
import type { OpenSource, SourceOptions } from "./source.ts";

/** Without Kafka: the log is the store of record, and ready at once. */
export function openEmbedded({ config, dataDir, logger, metrics }: SourceOptions): OpenSource {
  const path = dataDir.logFile(undefined);
  const log = new EventLog({ path, durable: true });
  createEmbeddedTopics(log, config.heldTopics);
  const publisher = new EmbeddedPublisher({ log, metrics });
  const retention = startRetention(log, { ...config.log, logger });
  return {
    // The log is its own authority: what it says once it would say again.
    ready: Promise.resolve({
      log,
      path,
      ends: embeddedEnds(log),
      aheadConfirmMs: 0,
      flush: () => publisher.flush(),
    }),
    publisher,
    missing: () => [],
    degraded: () => (log.fault ? ["disk"] : []),
    status: () => ({
      mode: "embedded",
      producer: { connected: publisher.isConnected() },
      consumer: {
        connected: true,
        groupId: null,
        partitions: config.heldTopics.map((topic) => {
          const offset = log.topic(topic)?.offsets[0] ?? 0;
          return { topic, partition: 0, offset, highWatermark: offset, lag: 0 };
        }),
      },
    }),
    async close() {
      await publisher.close();
      retention[Symbol.dispose]();
      log[Symbol.dispose]();
    },
  };
}
