import { setTimeout as delay } from "node:timers/promises";
import type { Kafka } from "kafkajs";
import { HeadgateError } from "../errors.ts";
import { markTextOf, parseMark } from "../log/idempotency.ts";
import type { Coordinates, OutgoingRecord, Publisher } from "../log/publisher.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { createKafka } from "./client.ts";
import type { KafkaConfig } from "./client.ts";
import { PartitionLane } from "./partition-lane.ts";
import { partitionOfKey } from "./partitioner.ts";
import { ProducerSession } from "./producer-session.ts";
import { ProducerSessions } from "./producer-sessions.ts";
import { Publication } from "./publication.ts";

export interface KafkaPublisherOptions {
  readonly kafka: KafkaConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Connected for at once; for others with their first publish. */
  readonly topics?: readonly string[];
  /** How many partitions a topic has; 0 while nobody knows: then its events wait. */
  readonly partitionCount: (topic: string) => number;
  /** Milliseconds from a call of `publish` to its end, one way or the other. */
  readonly timeoutMs: number;
  /** Bounds what publishes make us hold while Kafka is slow or away. */
  readonly maxWaitingBytes?: number;
}

const MAX_WAITING_BYTES = 16 * 1_024 ** 2;
/** What a record costs beside its bytes, roughly: tiny events must be bounded as well. */
const RECORD_OVERHEAD_BYTES = 256;
const COUNT_POLL_MS = 50;

/**
 * Publishes to Kafka: acks=all, idempotent, each partition in the order of the calls. What is
 * rejected is not written later; where a request with it was on its way before, `mayBeStored` says so.
 */
export class KafkaPublisher implements Publisher {
  readonly #options: KafkaPublisherOptions;
  readonly #maxWaitingBytes: number;
  readonly #kafka: Kafka;
  /** By topic. */
  readonly #sessions = new Map<string, ProducerSessions>();
  readonly #lanes = new Map<string, PartitionLane>();
  /** In the order of the calls: partitions are chosen when their number is known. */
  #unassigned: Array<{ records: readonly OutgoingRecord[]; publication: Publication }> = [];
  readonly #open = new Set<Promise<unknown>>();
  #isAssigning = false;
  #waitingBytes = 0;
  /** By topic, how many records without a key it was given. */
  readonly #keyless = new Map<string, number>();
  #isClosed = false;

  constructor(options: KafkaPublisherOptions) {
    this.#options = options;
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES;
    this.#kafka = createKafka(options.kafka, options.logger);
    for (const topic of options.topics ?? []) {
      this.#sessionsOf(topic)
        .get()
        .catch(() => {
          // Closed before Kafka answered.
        });
    }
  }

  async publish(records: readonly OutgoingRecord[]): Promise<Coordinates[]> {
    if (this.#isClosed) throw new HeadgateError("shutting-down", "The server is shutting down");
    if (records.length === 0) return [];
    const { metrics, timeoutMs } = this.#options;
    const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
    if (this.#waitingBytes + bytes > this.#maxWaitingBytes) {
      metrics.published.inc({ result: "queue-full" }, records.length);
      const held = `${this.#waitingBytes} of ${this.#maxWaitingBytes} bytes`;
      throw new HeadgateError("publish-queue-full", `Too much waits for Kafka: ${held}`, {
        mayBeStored: false,
        retryAfterS: 1,
      });
    }
    this.#waitingBytes += bytes;
    const publication = new Publication(records.length, timeoutMs);
    this.#open.add(publication.result);
    this.#unassigned.push({ records, publication });
    if (!this.#isAssigning) void this.#assign();
    try {
      const coordinates = await publication.result;
      metrics.published.inc({ result: "ok" }, records.length);
      return coordinates;
    } catch (error) {
      const isLate = error instanceof HeadgateError && error.code === "publish-timeout";
      metrics.published.inc({ result: isLate ? "timeout" : "failed" }, records.length);
      throw error;
    } finally {
      this.#waitingBytes -= bytes;
      this.#open.delete(publication.result);
    }
  }

  isConnected(): boolean {
    const sessions = [...this.#sessions.values()];
    return sessions.length > 0 && sessions.every(({ isReachable }) => isReachable);
  }

  /** Returns after PUBLISH_TIMEOUT at the latest: by then every publish has its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#open);
    for (const sessions of this.#sessions.values()) sessions.close();
  }

  /** Hands publications to the lanes, as soon as all numbers of partitions are known. */
  async #assign(): Promise<void> {
    this.#isAssigning = true;
    while (this.#unassigned.length > 0) {
      // What comes after a publication that must wait does not overtake it within its topics.
      const heldTopics = new Set<string>();
      this.#unassigned = this.#unassigned.filter(({ records, publication }) => {
        if (publication.isSettled) return false;
        const isHeld = records.some(
          ({ topic }) => heldTopics.has(topic) || this.#options.partitionCount(topic) === 0,
        );
        if (isHeld) for (const { topic } of records) heldTopics.add(topic);
        else this.#dispatch(records, publication);
        return isHeld;
      });
      if (this.#unassigned.length > 0) await delay(COUNT_POLL_MS);
    }
    this.#isAssigning = false;
  }

  #dispatch(records: readonly OutgoingRecord[], publication: Publication): void {
    for (const [index, record] of records.entries()) {
      const lane = this.#lane(record.topic, this.#choosePartition(record));
      lane.add({ record, index, publication, bytes: sizeOf(record) });
    }
  }

  #choosePartition({ topic, key, headers }: OutgoingRecord): number {
    const partitions = this.#options.partitionCount(topic);
    if (key !== null) return partitionOfKey(key, partitions);
    // What is published again under its idempotency key must meet the first in one partition.
    const mark = markTextOf(headers);
    if (mark !== undefined) return partitionOfKey(Buffer.from(parseMark(mark).digest), partitions);
    const turn = this.#keyless.get(topic) ?? 0;
    this.#keyless.set(topic, (turn + 1) % Number.MAX_SAFE_INTEGER);
    return turn % partitions;
  }

  #lane(topic: string, partition: number): PartitionLane {
    // A topic's name has no slash.
    const name = `${topic}/${partition}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new PartitionLane(topic, partition, this.#sessionsOf(topic));
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #sessionsOf(topic: string): ProducerSessions {
    let sessions = this.#sessions.get(topic);
    if (sessions === undefined) {
      const logger = this.#options.logger.child({ topic });
      const create = (): ProducerSession =>
        new ProducerSession(this.#kafka, topic, this.#options.timeoutMs);
      sessions = new ProducerSessions(create, logger);
      this.#sessions.set(topic, sessions);
    }
    return sessions;
  }
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const [name, content] of headers) bytes += name.length * 3 + content.byteLength;
  return bytes;
}
