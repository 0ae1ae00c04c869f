import type { Logger } from "../logger.ts";
import { tagOfUuid } from "../log/position.ts";
import type { EndsSource, TopicEnds } from "../log/source.ts";
import { Brokers, withDeadline } from "./brokers.ts";
import type { KafkaConfig } from "./client.ts";
import { EARLIEST, KafkaErrorCode, LATEST, listOffsets } from "./requests.ts";
import type { OffsetQuestion, TopicMetadata } from "./requests.ts";

const DEADLINE_MS = 2_000;

/** A round that takes longer is not waited for by those who come after it. */
const SLOW_ROUND_MS = 250;

/** One call of everybody who asked in the meantime. */
interface Round {
  readonly topics: Set<string>;
  readonly answer: Promise<Map<string, TopicEnds>>;
}

/** What Kafka says of topics now, over connections of its own: the feed's long polls never delay it. */
export class KafkaMetadata implements EndsSource {
  readonly #brokers: Brokers;
  readonly #deadlineMs: number;
  #waiting: Round | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(config: KafkaConfig, logger: Logger, { deadlineMs = DEADLINE_MS } = {}) {
    this.#brokers = new Brokers(config, logger);
    this.#deadlineMs = deadlineMs;
  }

  /** The id that the cluster was formatted with. Rejects when no broker answers within the deadline. */
  async clusterId(): Promise<string> {
    const { clusterId } = await this.#brokers.metadata([], this.#deadlineMs);
    return clusterId;
  }

  async ends(topics: readonly string[]): Promise<TopicEnds[]> {
    const round = this.#nextRound();
    for (const topic of topics) round.topics.add(topic);
    const answer = await withDeadline(
      round.answer,
      this.#deadlineMs,
      () => new Error(`Kafka did not say within ${this.#deadlineMs} ms where its topics end`),
    );
    return topics.flatMap((topic) => answer.get(topic) ?? []);
  }

  close(): void {
    this.#brokers.close();
  }

  /** The round that has not begun yet: an answer is never older than the call. */
  #nextRound(): Round {
    if (this.#waiting !== undefined) return this.#waiting;
    const topics = new Set<string>();
    const previous = this.#running;
    const answer = previous.then(() => {
      this.#waiting = undefined;
      return this.#ask([...topics]);
    });
    const done = answer.then(
      () => undefined,
      () => undefined,
    );
    this.#running = previous.then(() => Promise.race([done, Bun.sleep(SLOW_ROUND_MS)]));
    this.#waiting = { topics, answer };
    return this.#waiting;
  }

  async #ask(names: readonly string[]): Promise<Map<string, TopicEnds>> {
    const until = performance.now() + this.#deadlineMs;
    const { topics } = await this.#brokers.metadata(names, this.#deadlineMs);
    const present = topics.filter(({ error }) => error === KafkaErrorCode.none);
    // Sooner than the callers' deadline: one silent leader must not take the others' answers along.
    const leftMs = (until - performance.now()) * 0.9;
    const [starts, ends] = await Promise.all([
      offsetsOf(this.#brokers, present, EARLIEST, leftMs),
      offsetsOf(this.#brokers, present, LATEST, leftMs),
    ]);
    return new Map(
      present.map((topic) => [
        topic.name,
        {
          topic: topic.name,
          tag: tagOfUuid(topic.id),
          starts: topic.partitions.map(({ partition }) => starts.of(topic.name, partition)),
          ends: topic.partitions.map(({ partition }) => ends.of(topic.name, partition)),
        },
      ]),
    );
  }
}

/** Offsets by partition; undefined where no leader answered, or answered with an error. */
export interface PartitionOffsets {
  of(topic: string, partition: number): number | undefined;
  /** Why an offset is missing, where one is. */
  readonly error: unknown;
}

/**
 * Asks every partition's leader for an offset: EARLIEST, LATEST (the last stable offset) or of
 * the first record from a time on, which is -1 where there is none. Never rejects.
 */
export async function offsetsOf(
  brokers: Brokers,
  topics: readonly Pick<TopicMetadata, "name" | "partitions">[],
  timestampMs: number,
  timeoutMs: number,
): Promise<PartitionOffsets> {
  const questions = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition, leader, leaderEpoch }) => ({
      leader,
      question: { topic: name, partition, leaderEpoch, timestampMs },
    })),
  );
  const offsets = new Map<string, number>();
  let error: unknown;
  const ask = async (leader: number, asked: readonly OffsetQuestion[]): Promise<void> => {
    try {
      const answers = await brokers.send(leader, listOffsets(asked), "control", timeoutMs);
      for (const answer of answers) {
        if (answer.error === KafkaErrorCode.none) {
          offsets.set(`${answer.topic}/${answer.partition}`, answer.offset);
        } else {
          error = new Error(
            `Kafka does not give an offset of ${answer.topic}, code ${answer.error}`,
          );
        }
      }
    } catch (failure) {
      error = failure;
    }
  };
  const led = Map.groupBy(
    questions.filter(({ leader }) => leader >= 0),
    ({ leader }) => leader,
  );
  const asking = [...led].map(([leader, asked]) =>
    ask(
      leader,
      asked.map(({ question }) => question),
    ),
  );
  await Promise.all(asking);
  return {
    of: (topic, partition) => offsets.get(`${topic}/${partition}`),
    get error() {
      return error;
    },
  };
}
