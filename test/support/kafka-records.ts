import { type IHeaders, Partitioners, type Producer } from "kafkajs";
import { createKafka } from "../../src/kafka/client.ts";
import { createLogger } from "../../src/logger.ts";
import { type KafkaCluster, uniqueTopic } from "./kafka.ts";

/** A record as any other consumer of its topic sees it. */
export interface KafkaRecord {
  /** `topic/partition/offset`. */
  readonly place: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

type Brokers = Pick<KafkaCluster, "brokers" | "withAdmin">;

/** Everything that some topics hold, by partition in order, read with kafkajs's own consumer. */
export async function readTopics(
  kafka: Brokers,
  topics: readonly string[],
): Promise<KafkaRecord[]> {
  let missing = 0;
  for (const topic of topics) {
    const ends = await kafka.withAdmin((admin) => admin.fetchTopicOffsets(topic));
    for (const { high, low } of ends) missing += Number(high) - Number(low);
  }
  if (missing === 0) return [];
  const records: KafkaRecord[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const consumer = client(kafka).consumer({ groupId: uniqueTopic("reader") });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      eachMessage: ({ topic, partition, message }) => {
        const { key, value, headers = {} } = message;
        const offset = Number(message.offset);
        const place = `${topic}/${partition}/${offset}`;
        records.push({ place, topic, partition, offset, key, value, headers });
        missing -= 1;
        if (missing === 0) resolve();
        return Promise.resolve();
      },
    });
    await done;
  } finally {
    await consumer.disconnect();
  }
  return records.toSorted(
    (a, b) => compare(a.topic, b.topic) || a.partition - b.partition || a.offset - b.offset,
  );
}

/** A header's values, in the order given. */
export function headerValues({ headers }: KafkaRecord, name: string): Buffer[] {
  const given = headers[name];
  if (given === undefined) return [];
  return (Array.isArray(given) ? given : [given]).map((value) => Buffer.from(value));
}

/** kafkajs's own producer, which chooses partitions as Java's does; disconnected by `await using`. */
export async function connectProducer({ brokers }: Brokers): Promise<Producer & AsyncDisposable> {
  const producer = client({ brokers }).producer({
    createPartitioner: Partitioners.JavaCompatiblePartitioner,
  });
  await producer.connect();
  return Object.assign(producer, { [Symbol.asyncDispose]: () => producer.disconnect() });
}

function client({ brokers }: Pick<Brokers, "brokers">): ReturnType<typeof createKafka> {
  const config = { brokers, clientId: "another", groupId: "another" };
  return createKafka(config, createLogger("silent"));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
