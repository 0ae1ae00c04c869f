import { expect } from "bun:test";
import { HeadgateError } from "../../src/errors.ts";
import { createKafka } from "../../src/kafka/client.ts";
import { KafkaPublisher } from "../../src/kafka/publisher.ts";
import type { Coordinates, OutgoingRecord } from "../../src/log/publisher.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics } from "../../src/metrics.ts";
import { uniqueTopic } from "./kafka.ts";
import type { KafkaCluster } from "./kafka.ts";

/** UTF-8. */
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** An outgoing record without headers. */
export function record(topic: string, value: string, key: string | null = null): OutgoingRecord {
  return { topic, key: key === null ? null : encode(key), value: encode(value), headers: [] };
}

/** A publisher on this cluster, with metrics of its own. */
export function publisherFor(
  { brokers }: KafkaCluster,
  options: {
    partitions?: number;
    timeoutMs?: number;
    maxWaitingBytes?: number;
    topics?: string[];
  } = {},
): { publisher: KafkaPublisher; metrics: ReturnType<typeof createMetrics> } {
  const { partitions = 1, timeoutMs = 10_000, ...others } = options;
  const metrics = createMetrics();
  const publisher = new KafkaPublisher({
    kafka: { brokers, clientId: "test", groupId: "test" },
    logger: createLogger("silent"),
    metrics,
    partitionCount: () => partitions,
    timeoutMs,
    ...others,
  });
  return { publisher, metrics };
}

/** What a publish ended with, as one word or the error. */
export async function outcome(
  publish: Promise<Coordinates[]>,
): Promise<Coordinates[] | HeadgateError> {
  try {
    return await publish;
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
}

/** The error of a publish that must fail. */
export async function refusal(publish: Promise<Coordinates[]>): Promise<HeadgateError> {
  const result = await outcome(publish);
  if (result instanceof HeadgateError) return result;
  throw new Error(`published at ${JSON.stringify(result)}`);
}

/** Every record of a topic, `partition/offset` to value, up to the ends it has now. */
export async function readAll(cluster: KafkaCluster, topic: string): Promise<Map<string, string>> {
  const ends = await cluster.withAdmin((admin) => admin.fetchTopicOffsets(topic));
  let missing = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
  const found = new Map<string, string>();
  if (missing === 0) return found;
  const kafka = createKafka(
    { brokers: cluster.brokers, clientId: "reader", groupId: "reader" },
    createLogger("silent"),
  );
  const consumer = kafka.consumer({ groupId: uniqueTopic("reader"), retry: { retries: 20 } });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: ({ partition, message }) => {
        found.set(`${partition}/${message.offset}`, message.value?.toString() ?? "null");
        missing -= 1;
        if (missing === 0) resolve();
        return Promise.resolve();
      },
    });
    await done;
    return found;
  } finally {
    await consumer.disconnect();
  }
}

/** Waits for a condition, half a minute at most. */
export async function until(isTrue: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await Bun.sleep(10);
  }
}

/** Order for `toSorted` of anything, by its text. */
export const byText = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);

/** As in the keys of `readAll`. */
export const placeOf = ({ partition, offset }: Coordinates): string => `${partition}/${offset}`;

/** Several callers that publish one after another, and what they were told. */
export class Traffic {
  readonly acknowledged = new Map<string, string>();
  /** Neither sure to be stored nor sure not to be. */
  readonly #unclear = new Set<string>();
  readonly #ending = new AbortController();
  readonly #callers: Promise<void>[];

  constructor(publisher: KafkaPublisher, topic: string) {
    this.#callers = Array.from({ length: 8 }, (_, name) => this.#call(publisher, topic, name));
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#callers);
  }

  compareWith(stored: ReadonlyMap<string, string>): void {
    for (const [place, value] of this.acknowledged) expect(stored.get(place)).toBe(value);
    const values = [...stored.values()].filter((value) => !this.#unclear.has(value));
    expect(values.length).toBe(this.acknowledged.size);
  }

  async #call(publisher: KafkaPublisher, topic: string, name: number): Promise<void> {
    for (let n = 0; !this.#ending.signal.aborted; n += 1) {
      const value = `${name}-${n}`;
      const result = await outcome(publisher.publish([record(topic, value)]));
      if (result instanceof HeadgateError) {
        if (result.details["mayBeStored"] !== false) this.#unclear.add(value);
      } else for (const coordinates of result) this.acknowledged.set(placeOf(coordinates), value);
    }
  }
}

/**
 * Publishes until it is acknowledged: its offset, and how many of the attempts before may be stored
 * as well, by what was said of them.
 */
export async function publishUntilDone(
  publisher: KafkaPublisher,
  outgoing: OutgoingRecord,
): Promise<{ offset: number; unclear: number }> {
  const deadline = performance.now() + 60_000;
  for (let unclear = 0; ;) {
    const result = await outcome(publisher.publish([outgoing]));
    if (!(result instanceof HeadgateError)) return { offset: result[0]?.offset ?? -1, unclear };
    if (result.details["mayBeStored"] !== false) unclear += 1;
    if (performance.now() > deadline) throw result;
  }
}
