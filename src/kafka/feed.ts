import { Brokers } from "./brokers.ts";
import { describeKafkaError } from "./client.ts";
import type { KafkaConfig } from "./client.ts";
import { FeedAppender } from "./feed-appender.ts";
import { compareWithKafka, startOf } from "./feed-compare.ts";
import type { FeedContext, KafkaFeedSettings } from "./feed-context.ts";
import type { FeedPartition } from "./feed-partition.ts";
import { describeFeed, type FeedStatus } from "./feed-status.ts";
import { readFrom } from "./feed-reader.ts";
import type { Trouble } from "./feed-reader.ts";
import { FeedTopics } from "./feed-topics.ts";
import type { ClusterMetadata } from "./requests.ts";

export interface KafkaFeedOptions extends KafkaFeedSettings {
  readonly kafka: KafkaConfig;
  /** How often Kafka is asked for topics, partitions and leaders while all is well (default 5,000). */
  readonly watchIntervalMs?: number;
  /** How long a position may stand although Kafka has more (default 5,000). */
  readonly watchdogMs?: number;
}

/** How long an answer is waited for; longer where answers were found to take longer. */
const PATIENCE_MS = 2_000;
const LONGEST_PATIENCE_MS = 16_000;
/** A fetch may bring megabytes, and waits for records to come. */
const FETCH_EXTRA_MS = 3_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1_000;

/**
 * Puts every record of the served topics into the log once, in partition order, whatever happens
 * to brokers, leaders and topics; what it cannot get becomes a gap.
 *
 * It fetches by topic id from the partitions' leaders and joins no consumer group. Every instance
 * reads every partition and keeps its positions in its own log, so that a group would add nothing
 * but rebalances; and kafkajs's consumer, which needs one, stops all topics when one is deleted,
 * shows records of aborted transactions that overlap, and never gets past a batch that compaction
 * has emptied or that it cannot decode.
 *
 * Whatever goes wrong suspends partitions. One loop asks Kafka how things are, compares the log
 * with it, and starts to read again: there is no other way back.
 */
export class KafkaFeed {
  readonly #context: FeedContext;
  readonly #topics: FeedTopics;
  readonly #readers = new Map<number, Promise<void>>();
  readonly #groupId: string;
  readonly #watchIntervalMs: number;
  readonly #watchdogMs: number;
  #running: Promise<void> | undefined;
  #isStopping = false;
  #isReachable = false;
  #answeredMs: number | undefined;
  #isReady = false;
  #wasConnected: boolean | undefined;
  #hasBeenConnected = false;
  #lastError: string | undefined;
  #patienceMs = PATIENCE_MS;
  #wake: () => void = () => undefined;

  constructor({ kafka, watchIntervalMs = 5_000, watchdogMs = 5_000, ...rest }: KafkaFeedOptions) {
    this.#context = {
      ...rest,
      brokers: new Brokers(kafka, rest.logger),
      appender: new FeedAppender(rest),
      patienceMs: () => this.#patienceMs,
      note: (error) => {
        if (!this.#isStopping) this.#lastError = describeKafkaError(error);
      },
    };
    this.#topics = new FeedTopics(this.#context);
    this.#groupId = `${kafka.groupId}-${crypto.randomUUID().slice(0, 8)}`;
    this.#watchIntervalMs = watchIntervalMs;
    this.#watchdogMs = watchdogMs;
  }

  /** Begins to read, now or as soon as Kafka is there. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends all reading; nothing is stored once it has resolved. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const partition of this.#topics.partitions()) partition.suspend();
    this.#context.appender.close();
    this.#context.brokers.close();
    this.#wake();
    await Promise.all([this.#running, ...this.#readers.values()]);
  }

  /** Whether the log has no room, and the feed waits. */
  isHeld(): boolean {
    return this.#context.appender.isHeld;
  }

  /** True from when every partition has been read up to where it ended at the start. */
  isReady(): boolean {
    this.#isReady ||= this.#missing().length === 0;
    return this.#isReady;
  }

  /** How things are, from memory: it answers at once, whatever Kafka does. */
  status(): FeedStatus {
    const error = this.#lastError ?? this.#topics.faults()[0];
    return {
      ...describeFeed({
        partitions: this.#topics.partitions(),
        isReachable: this.#isReachable,
        isHeld: this.isHeld(),
        answeredMs: this.#answeredMs,
      }),
      connected: this.#isConnected(),
      groupId: this.#groupId,
      ...(error === undefined ? {} : { lastError: error }),
      missing: this.isReady() ? [] : this.#missing(),
    };
  }

  async #run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#isStopping) {
      try {
        await this.#lookAtKafka();
        this.#isReachable = true;
      } catch (error) {
        this.#isReachable = false;
        this.#context.note(error);
      }
      this.#logConnection();
      const isWell = this.#isConnected() && this.#faultsNow().length === 0;
      if (isWell) this.#lastError = undefined;
      retryMs = isWell ? FIRST_RETRY_MS : Math.min(retryMs * 2, LONGEST_RETRY_MS);
      await this.#pause(isWell ? this.#watchIntervalMs : retryMs);
    }
  }

  /** Takes topics, partitions and leaders as they are now, and lets every partition be read that can be. */
  async #lookAtKafka(): Promise<void> {
    const metadata = await this.#metadata();
    this.#answeredMs = performance.now();
    await this.#topics.take(metadata);
    const suspended = this.#topics.partitions().filter((one) => !one.isReading && one.leader >= 0);
    await compareWithKafka(this.#context, suspended);
    this.#startReaders();
  }

  async #metadata(): Promise<ClusterMetadata> {
    const { brokers, topics } = this.#context;
    const since = performance.now();
    try {
      const answer = await brokers.metadata(topics, this.#patienceMs);
      const tookMs = performance.now() - since;
      this.#patienceMs = Math.max(PATIENCE_MS, Math.min(this.#patienceMs, 3 * tookMs));
      return answer;
    } catch (error) {
      this.#patienceMs = Math.min(this.#patienceMs * 2, LONGEST_PATIENCE_MS);
      throw error;
    }
  }

  #startReaders(): void {
    const leaders = new Set(this.#topics.partitions().map(({ leader }) => leader));
    for (const node of leaders) {
      if (this.#readers.has(node) || this.#readableFrom(node).length === 0) continue;
      const reading = readFrom(node, {
        ...this.#context,
        fetchTimeoutMs: () => this.#patienceMs + FETCH_EXTRA_MS,
        watchdogMs: this.#watchdogMs,
        partitionsOf: () => this.#readableFrom(node),
        startOf: (partition) => startOf(this.#context, partition),
        onTrouble: (reason, error) => this.#onTrouble(reason, error),
      }).finally(() => {
        this.#readers.delete(node);
        // One may have become readable after the reader had seen that there was none.
        this.#startReaders();
      });
      this.#readers.set(node, reading);
    }
  }

  #readableFrom(node: number): FeedPartition[] {
    if (this.#isStopping) return [];
    return this.#topics.partitions().filter((one) => one.isReading && one.leader === node);
  }

  #onTrouble(reason: Trouble, error: unknown): void {
    if (this.#isStopping) return;
    this.#context.metrics.feedRebuilds.inc({ reason });
    this.#context.note(error);
    this.#wake();
  }

  #isConnected(): boolean {
    const partitions = this.#topics.partitions();
    return this.#isReachable && (partitions.length === 0 || partitions.some((p) => p.isReading));
  }

  /** Topics and partitions that are not being read. */
  #faultsNow(): string[] {
    const suspended = this.#topics.partitions().filter(({ isReading }) => !isReading);
    return [...this.#topics.faults(), ...suspended.map(({ name }) => `${name} cannot be read now`)];
  }

  #missing(): string[] {
    const behind = this.#topics
      .partitions()
      .filter((partition) => !partition.isCaughtUp())
      .map(({ name, position, endAtStart }) =>
        endAtStart === undefined
          ? `${name} waits for its leader`
          : `${name} is read up to ${position} of ${endAtStart}`,
      );
    const missing = [...this.#topics.faults(), ...behind];
    const isUnknown = missing.length === 0 && this.#topics.partitions().length === 0;
    return isUnknown ? [`Kafka has not answered: ${this.#lastError ?? "asking"}`] : missing;
  }

  /** Once when Kafka is lost and once when it is back, not at every try. */
  #logConnection(): void {
    const { logger, metrics } = this.#context;
    const isConnected = this.#isConnected();
    if (isConnected === this.#wasConnected || this.#isStopping) return;
    this.#wasConnected = isConnected;
    if (!isConnected) {
      logger.warn({ error: this.#lastError }, "kafka feed has lost kafka");
      return;
    }
    logger.info("kafka feed is connected");
    if (this.#hasBeenConnected) metrics.feedReconnects.inc();
    this.#hasBeenConnected = true;
  }

  /** Waits this long, or less when something goes wrong; never so short as to ask Kafka in a loop. */
  async #pause(waitMs: number): Promise<void> {
    if (this.#isStopping) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    if (!this.#isStopping) await Bun.sleep(FIRST_RETRY_MS);
  }
}
