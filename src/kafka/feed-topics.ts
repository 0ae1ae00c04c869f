import { quote } from "../errors.ts";
import { tagOfUuid } from "../log/position.ts";
import type { FeedContext } from "./feed-context.ts";
import { FeedPartition } from "./feed-partition.ts";
import { firstPositions } from "./feed-start.ts";
import { createTopics, KafkaErrorCode } from "./requests.ts";
import type { ClusterMetadata, TopicMetadata } from "./requests.ts";

const CREATE_TIMEOUT_MS = 10_000;

/** The served topics as Kafka had them when it was last asked, and their partitions. */
export class FeedTopics {
  readonly #context: FeedContext;
  readonly #partitions = new Map<string, FeedPartition[]>();
  /** What is wrong with a topic, by its name. */
  readonly #faults = new Map<string, string>();
  /** Topics that were there since the start: whoever deletes one does not get it back from us. */
  readonly #seen = new Set<string>();
  /** Incarnations of which a later one was seen: a broker that lags behind may still name them. */
  readonly #retired = new Set<string>();

  constructor(context: FeedContext) {
    this.#context = context;
  }

  /** Every partition that is to be read. */
  partitions(): FeedPartition[] {
    return [...this.#partitions.values()].flat();
  }

  /** Why some topics are not read, for people to read. */
  faults(): string[] {
    return [...this.#faults.values()];
  }

  /** Takes what Kafka says: new, re-created and grown topics go into the log, new leaders are learned. */
  async take(metadata: ClusterMetadata): Promise<void> {
    const there = metadata.topics.filter((topic) => isThere(topic));
    const totalPartitions = there.reduce((sum, { partitions }) => sum + partitions.length, 0);
    for (const topic of metadata.topics) {
      if (isThere(topic)) await this.#takeTopic(topic, totalPartitions);
      else this.#miss(topic);
    }
    await this.#createMissing(metadata);
  }

  async #takeTopic(topic: TopicMetadata, totalPartitions: number): Promise<void> {
    const { log, appender, logger, metrics } = this.#context;
    const { name } = topic;
    const tag = tagOfUuid(topic.id);
    if (this.#retired.has(`${name}~${tag}`)) return;
    this.#seen.add(name);
    const known = log.topic(name);
    if (known?.tag !== tag || known.offsets.length < topic.partitions.length) {
      const how = { tag, totalPartitions, ...(known === undefined ? {} : { known }) };
      const offsets = await firstPositions(this.#context, topic, how);
      if (offsets === undefined) {
        this.#faults.set(name, `Topic ${quote(name)} has partitions whose leader does not answer`);
        return;
      }
      if (known !== undefined && known.tag !== tag) {
        this.#retired.add(`${name}~${known.tag}`);
        this.#forget(name);
      }
      const entry = { kind: "topic", topic: name, tag, offsets } as const;
      if (!(await appender.append([entry]))) return;
      if (known !== undefined) {
        metrics.feedRebuilds.inc({ reason: "metadata" });
        const what = known.tag === tag ? "topic has grown" : "topic was made again";
        logger.info({ topic: name, partitions: offsets.length }, what);
      }
    }
    this.#faults.delete(name);
    this.#lead(topic);
  }

  /** Makes the partitions that are new to us, and tells all of them who leads. */
  #lead({ name, id, partitions: metadata }: TopicMetadata): void {
    const offsets = this.#context.log.topic(name)?.offsets ?? [];
    const partitions = this.#partitions.get(name) ?? [];
    for (const { partition, leader, leaderEpoch } of metadata) {
      const known = partitions[partition];
      const one = known ?? new FeedPartition(name, id, partition, offsets[partition] ?? 0);
      if (known === undefined) partitions.push(one);
      one.lead(leader, leaderEpoch);
    }
    this.#partitions.set(name, partitions);
  }

  #miss({ name, error }: TopicMetadata): void {
    const isGone = error === KafkaErrorCode.unknownTopicOrPartition;
    const what = isGone ? "does not exist" : `cannot be read, Kafka's code is ${error}`;
    this.#faults.set(name, `Topic ${quote(name)} ${what}`);
    if (!isGone || !this.#partitions.has(name)) return;
    // The log keeps its position: a broker that has just started may not know its topics yet.
    this.#forget(name);
    this.#context.metrics.feedRebuilds.inc({ reason: "metadata" });
    this.#context.logger.warn({ topic: name }, "topic is gone");
  }

  #forget(name: string): void {
    for (const partition of this.#partitions.get(name) ?? []) partition.suspend();
    this.#partitions.delete(name);
  }

  async #createMissing({ topics, controllerId }: ClusterMetadata): Promise<void> {
    const { createTopics: how, brokers, logger, note } = this.#context;
    const missing = topics.filter(
      ({ name, error }) =>
        error === KafkaErrorCode.unknownTopicOrPartition && !this.#seen.has(name),
    );
    if (how === undefined || missing.length === 0) return;
    const names = missing.map(({ name }) => name);
    const request = createTopics(names, how, CREATE_TIMEOUT_MS);
    try {
      const made = await brokers.send(controllerId, request, "control", CREATE_TIMEOUT_MS);
      for (const { name, error, message } of made) {
        if (error === KafkaErrorCode.none) logger.info({ topic: name }, "topic was made");
        else if (error !== KafkaErrorCode.topicAlreadyExists) {
          this.#faults.set(name, `Topic ${quote(name)} cannot be made: ${message} (code ${error})`);
        }
      }
    } catch (error) {
      // The topics that are there do not wait for it; the next look tries again.
      note(error);
    }
  }
}

function isThere({ error, partitions }: TopicMetadata): boolean {
  return error === KafkaErrorCode.none && partitions.length > 0;
}
