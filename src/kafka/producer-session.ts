import { KafkaJSNonRetriableError } from "kafkajs";
import type { ICustomPartitioner, IHeaders, Kafka, Message, Producer } from "kafkajs";
import type { OutgoingRecord } from "../log/publisher.ts";

/** What one `send` carries: records of one partition, which travel as one batch, whole or not at all. */
export interface Shipment {
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
  /** Asked just before each time the records are put into a request; false stops it for good. */
  readonly mayWrite: () => boolean;
}

/** How Kafka refused a shipment. */
export type Refusal =
  | "too-large"
  | "invalid"
  | "forbidden"
  | "topic-not-found"
  | "out-of-sequence"
  | "unknown";

/** A failed `send`; `refusal` is undefined where trying again makes sense. */
export class SendError extends Error {
  override readonly name = "SendError";
  readonly refusal: Refusal | undefined;

  constructor(refusal: Refusal | undefined, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.refusal = refusal;
  }
}

/**
 * One idempotent producer with one producer id, for one topic: a kafkajs producer can write to none
 * of its topics while one of them is deleted or has a partition without a leader. After an unknown outcome it must be retired: kafkajs
 * takes the sequence numbers of a failed request back, and a broker that has stored that request
 * would acknowledge other records of the same numbers as a duplicate, without storing them.
 *
 * A `send` has one partition, never more: with several leaders kafkajs's retry sends again what is
 * still under way elsewhere (stored twice, under new sequence numbers), leaves out partitions that
 * have moved to a leader which has answered already, and tells nobody which partition has failed.
 */
export class ProducerSession {
  readonly #topic: string;
  readonly #producer: Producer;
  readonly #timeoutMs: number;
  #underWay = 0;
  #recordsSent = 0;
  #isRetired = false;
  /** Set where Kafka gave no producer id because we may write to no topic at all (KIP-679). */
  #forbidden: SendError | undefined;

  constructor(kafka: Kafka, topic: string, timeoutMs: number) {
    this.#topic = topic;
    this.#timeoutMs = timeoutMs;
    this.#producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      // Less than a second: whether to go on is decided outside, where the deadlines are known.
      retry: { retries: 3 },
      allowAutoTopicCreation: false,
      createPartitioner,
    });
  }

  /** False once other sessions must be used; sends under way go on. */
  get isUsable(): boolean {
    // kafkajs wraps the 31 bits of sequence numbers in another way than brokers do.
    return !this.#isRetired && this.#recordsSent < 2 ** 30;
  }

  /** Resolves with a producer id in hand, or with the knowledge that each `send` will be refused. */
  async connect(): Promise<void> {
    try {
      await this.#producer.connect();
    } catch (error) {
      if (refusalOf(error) === "forbidden") {
        this.#forbidden = new SendError("forbidden", error);
        return;
      }
      if (brokerAnswer(error)?.type !== LEADERLESS) throw error;
      // Before it takes a producer id kafkajs asks for all topics of the cluster, and fails where a
      // partition of any has no leader. Once it has tried to send, it asks for its own topic only.
      await this.#producer.send({ topic: this.#topic, messages: [UNSENDABLE] }).catch(() => []);
      await this.#producer.connect();
    }
  }

  /**
   * Resolves with the offset of the first record, once all in-sync replicas have them all.
   *
   * @throws SendError
   */
  async send(shipment: Shipment): Promise<number> {
    if (this.#forbidden) throw this.#forbidden;
    const { partition } = shipment;
    this.#underWay += 1;
    this.#recordsSent += shipment.records.length;
    try {
      const answers = await this.#producer.send({
        topic: this.#topic,
        messages: toMessages(shipment),
        acks: -1,
        timeout: this.#timeoutMs,
      });
      const answer = answers.find((each) => each.partition === partition);
      const offset = Number(answer?.baseOffset ?? Number.NaN);
      if (Number.isSafeInteger(offset) && offset >= 0) return offset;
      throw new Error(`Kafka's answer has no offset for partition ${partition}`);
    } catch (error) {
      throw new SendError(refusalOf(error), error);
    } finally {
      this.#underWay -= 1;
      if (this.#isRetired) this.#disconnectWhenIdle();
    }
  }

  /** Never to be used again; its connections close when what is under way has ended. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#disconnectWhenIdle();
  }

  /** Earlier is too early: a send under way would open connections again that nobody closes. */
  #disconnectWhenIdle(): void {
    if (this.#underWay > 0) return;
    this.#producer.disconnect().catch(() => {
      // It was given up on; kafkajs has logged why.
    });
  }
}

const LEADERLESS = "LEADER_NOT_AVAILABLE";
const UNSENDABLE: Message = { value: null, partition: -1 };

/** Partitions are chosen before: here is only seen whether kafkajs knows them. */
const createPartitioner: ICustomPartitioner =
  () =>
  ({ topic, partitionMetadata, message }) => {
    const partition = message.partition ?? -1;
    if (partitionMetadata.some(({ partitionId }) => partitionId === partition)) return partition;
    if (partition === UNSENDABLE.partition) throw new KafkaJSNonRetriableError("Not to be sent");
    // kafkajs would leave the record out in silence; by this type it asks for metadata and tries again.
    throw Object.assign(new Error(`Partition ${partition} of ${topic} is not known yet`), {
      type: LEADERLESS,
    });
  };

function toMessages({ partition, records, mayWrite }: Shipment): Message[] {
  return records.map(({ key, value, headers }, index) => ({
    key: key === null ? null : toBuffer(key),
    value: value === null ? null : toBuffer(value),
    partition,
    /**
     * kafkajs's retries cannot be stopped from outside: they go on after a disconnect. But it reads
     * a message's headers once for every attempt, under the broker's lock and just before writing.
     */
    get headers(): IHeaders {
      if (index === 0 && !mayWrite()) throw new KafkaJSNonRetriableError("Given up");
      return toHeaders(headers);
    },
  }));
}

function toHeaders(headers: OutgoingRecord["headers"]): IHeaders {
  // A Map, because a header may be called __proto__.
  const byName = new Map<string, Buffer[]>();
  for (const [name, value] of headers) {
    const values = byName.get(name) ?? [];
    values.push(toBuffer(value));
    byName.set(name, values);
  }
  return Object.fromEntries(byName);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const REFUSALS: Record<string, Refusal> = {
  MESSAGE_TOO_LARGE: "too-large",
  RECORD_LIST_TOO_LARGE: "too-large",
  INVALID_RECORD: "invalid",
  INVALID_TIMESTAMP: "invalid",
  // What clients of kafkajs's age are told instead of INVALID_RECORD (KIP-467).
  CORRUPT_MESSAGE: "invalid",
  TOPIC_AUTHORIZATION_FAILED: "forbidden",
  CLUSTER_AUTHORIZATION_FAILED: "forbidden",
  UNKNOWN_TOPIC_OR_PARTITION: "topic-not-found",
  INVALID_TOPIC_EXCEPTION: "topic-not-found",
  OUT_OF_ORDER_SEQUENCE_NUMBER: "out-of-sequence",
  UNKNOWN_PRODUCER_ID: "out-of-sequence",
};

/** undefined where trying again makes sense. */
function refusalOf(error: unknown): Refusal | undefined {
  const answer = brokerAnswer(error);
  if (answer === undefined) return undefined;
  return REFUSALS[answer.type] ?? (answer.isRetriable ? undefined : "unknown");
}

/** The broker's own error, which kafkajs wraps up to three times. */
function brokerAnswer(error: unknown): { type: string; isRetriable: boolean } | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    if ("type" in current && typeof current.type === "string") {
      const isRetriable = !("retriable" in current) || current.retriable !== false;
      return { type: current.type, isRetriable };
    }
    current = current.cause;
  }
  return undefined;
}
