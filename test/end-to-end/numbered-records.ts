import { createKafka } from "../../src/kafka/client.ts";
import { createLogger } from "../../src/logger.ts";

/** What a record says of itself: readers check their numbers without knowing of offsets. */
export interface Numbered {
  readonly topic: string;
  readonly partition: number;
  readonly producer: string;
  /** 0, 1, 2 … per topic, partition and producer. */
  readonly n: number;
}

export interface ProducerOptions {
  readonly brokers: readonly string[];
  readonly name: string;
  readonly topics: readonly string[];
  readonly partitions: number;
  /** Records in all, spread evenly. */
  readonly count: number;
  /** Records a batch. */
  readonly batch: number;
  /** Between two batches, so that what happens meanwhile happens during the production. */
  readonly pauseMs: number;
}

/** Produces numbered records, idempotently, through whatever happens to the broker; resolves when all are acknowledged. */
export async function produceNumbered(options: ProducerOptions): Promise<void> {
  const { brokers, name, topics, partitions, count, batch, pauseMs } = options;
  const kafka = createKafka({ brokers, clientId: name, groupId: name }, createLogger("silent"));
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 1e9 },
  });
  await producer.connect();
  const lanes = topics.flatMap((topic) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  );
  for (let done = 0; done < count; done += batch) {
    const byTopic = new Map<string, { partition: number; value: string }[]>();
    for (let i = done; i < Math.min(done + batch, count); i += 1) {
      const lane = lanes[i % lanes.length];
      if (!lane) continue;
      const record: Numbered = { ...lane, producer: name, n: Math.floor(i / lanes.length) };
      const messages = byTopic.get(lane.topic) ?? [];
      messages.push({ partition: lane.partition, value: JSON.stringify(record) });
      byTopic.set(lane.topic, messages);
    }
    const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }));
    await untilSent(() => producer.sendBatch({ acks: -1, topicMessages }));
    await Bun.sleep(pauseMs);
  }
  await producer.disconnect();
}

/**
 * kafkajs gives up on some errors of a broker that restarts. The same batch again has the same
 * sequence numbers (there is one broker), so what was stored already is not stored twice.
 */
async function untilSent(send: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await send();
      return;
    } catch (error) {
      if (attempt > 600) throw error;
      await Bun.sleep(100);
    }
  }
}
