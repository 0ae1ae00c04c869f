import { type KafkaFeedOptions, KafkaFeed } from "../../src/kafka/feed.ts";
import { EventLog } from "../../src/log/event-log.ts";
import type { StoredEntry } from "../../src/log/stored-entry.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics, type Metrics } from "../../src/metrics.ts";
import type { KafkaCluster } from "./kafka.ts";

/** A feed with a log of its own (or a given one), ended by `await using`. */
export interface RunningFeed extends AsyncDisposable {
  readonly feed: KafkaFeed;
  readonly log: EventLog;
  readonly metrics: Metrics;
  /** Everything that is in the log for a topic, in order. */
  entries(topic: string): StoredEntry[];
  /** The values of the topic's records, as text, by partition. */
  values(topic: string, partition?: number): string[];
}

export type FeedSetup = Partial<KafkaFeedOptions> & { topics: readonly string[] };

/** Starts a feed on a cluster, with short intervals. */
export function startFeed(kafka: Pick<KafkaCluster, "brokers">, setup: FeedSetup): RunningFeed {
  const { log = new EventLog({ path: ":memory:", durable: false }) } = setup;
  const { metrics = createMetrics() } = setup;
  const feed = new KafkaFeed({
    kafka: { brokers: kafka.brokers, clientId: "headgate-test", groupId: "headgate-test" },
    logger: createLogger("silent"),
    retentionMs: 24 * 3_600_000,
    maxBytes: 1 << 30,
    maxEventBytes: 256 << 10,
    watchIntervalMs: 300,
    ...setup,
    log,
    metrics,
  });
  feed.start();
  const entries = (topic: string): StoredEntry[] => {
    const found: StoredEntry[] = [];
    for (let seq = log.baseSeq; seq < log.headSeq; seq = found.at(-1)?.seq ?? log.headSeq) {
      found.push(...log.after(seq, 10_000));
    }
    return found.filter((entry) => entry.topic === topic);
  };
  return {
    feed,
    log,
    metrics,
    entries,
    values: (topic, partition) =>
      entries(topic)
        .filter((entry) => entry.kind === "record")
        .filter((entry) => partition === undefined || entry.partition === partition)
        .map(({ value }) => (value === null ? "" : Buffer.from(value).toString())),
    [Symbol.asyncDispose]: () => feed.stop(),
  };
}

/** Resolves when the condition holds; throws after the deadline, with what `describe` says. */
export async function until(
  isTrue: () => boolean | Promise<boolean>,
  {
    deadlineMs = 20_000,
    describe = () => "",
  }: { deadlineMs?: number; describe?: () => string } = {},
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`Not so within ${deadlineMs} ms. ${describe()}`);
    await Bun.sleep(10);
  }
}
