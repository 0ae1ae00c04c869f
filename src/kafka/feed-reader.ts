import type { LogEntry } from "../log/entry.ts";
import { describeKafkaError } from "./client.ts";
import type { FeedContext } from "./feed-context.ts";
import { positionAfter, readEntries } from "./feed-entries.ts";
import type { FeedPartition } from "./feed-partition.ts";
import { fetchRecords, KafkaErrorCode } from "./requests.ts";
import type { FetchAnswer } from "./requests.ts";

/** Why partitions were suspended. */
export type Trouble = "crash" | "watchdog" | "metadata";

export interface ReaderContext extends Pick<FeedContext, "brokers" | "appender" | "maxEventBytes"> {
  readonly fetchTimeoutMs: () => number;
  /** How long a position may stand although Kafka has more. */
  readonly watchdogMs: number;
  /** The partitions that are to be read now. */
  readonly partitionsOf: () => FeedPartition[];
  /** Kafka's first offset of a partition now. Rejects where it does not say. */
  readonly startOf: (partition: FeedPartition) => Promise<number>;
  /** Called after partitions were suspended. */
  readonly onTrouble: (reason: Trouble, error: unknown) => void;
}

const BREATH_ENTRIES = 1_000;

/** What a subscriber is written at most in one turn of the event loop (`MAX_WRITE_BYTES` of the hub). */
const TURN_BYTES = 64 << 10;
/** An event's id and the names of its fields. */
const EVENT_OVERHEAD_BYTES = 100;

const LIMITS = { maxWaitMs: 500, maxBytes: 8 << 20, maxPartitionBytes: 1 << 20 };

/**
 * Reads the partitions that a node leads, until it leads none or something goes wrong; then the
 * partitions are suspended, and the feed starts another reader when it has looked into it.
 */
export async function readFrom(node: number, context: ReaderContext): Promise<void> {
  const breath = new Breath();
  for (let round = 0; ; round += 1) {
    const partitions = context.partitionsOf();
    if (partitions.length === 0) return;
    // The answer is filled in the order of the questions: everybody is first once.
    const first = round % partitions.length;
    const asked = [...partitions.slice(first), ...partitions.slice(0, first)];
    const turns = new Map(asked.map((partition) => [partition, partition.turn]));
    const request = fetchRecords(
      asked.map(({ question }) => question),
      LIMITS,
    );
    const askedMs = performance.now();
    let answers: FetchAnswer[];
    try {
      answers = await context.brokers.send(node, request, "fetch", context.fetchTimeoutMs());
    } catch (error) {
      for (const partition of asked) partition.suspend(describeKafkaError(error));
      context.onTrouble("crash", error);
      return;
    }
    const byKey = new Map(asked.map((partition) => [keyOf(partition), partition]));
    for (const answer of answers) {
      const partition = byKey.get(keyOf(answer));
      if (partition === undefined) continue;
      await take(answer, partition, turns.get(partition) ?? -1, { ...context, breath });
    }
    // The next request leaves after what came was delivered, and not at once after the last one: so
    // its answer holds all that came meanwhile, and not the little that came in the first moment.
    await breath.take();
    const earlyMs = askedMs + PACE_MS - performance.now();
    if (earlyMs > 0) await Bun.sleep(earlyMs);
  }
}

/**
 * Between two requests to one node. A request costs us and the broker some half a millisecond of
 * CPU each; what comes after a silence waits for nothing, as a request is there already.
 */
const PACE_MS = 4;

/**
 * Counts what was stored since the event loop last turned, and lets it turn after a thousand
 * entries: so long nothing else stands still. Not sooner: what many partitions brought in one
 * answer then leaves in one write per subscriber. And it turns as often as it takes to deliver
 * them: else subscribers who keep up would lag behind a feed that does not wait for them, and read
 * from the disk what they could have had from memory.
 */
class Breath {
  #entries = 0;
  #bytes = 0;

  async after(entries: readonly LogEntry[]): Promise<void> {
    this.#entries += entries.length;
    for (const entry of entries) {
      this.#bytes += EVENT_OVERHEAD_BYTES;
      if (entry.kind === "record") this.#bytes += entry.value?.byteLength ?? 0;
    }
    if (this.#entries >= BREATH_ENTRIES) await this.take();
  }

  /** Lets the loop turn if anything was stored. */
  async take(): Promise<void> {
    const turns = Math.ceil(this.#bytes / TURN_BYTES);
    this.#entries = 0;
    this.#bytes = 0;
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
  }
}

/** Stores what a node answered for one partition. */
async function take(
  answer: FetchAnswer,
  partition: FeedPartition,
  turn: number,
  context: ReaderContext & { breath: Breath },
): Promise<void> {
  const isWanted = (): boolean => partition.turn === turn;
  if (!isWanted()) return;
  const { name } = partition;
  if (answer.error !== KafkaErrorCode.none) {
    const error = new Error(`Kafka does not give ${name}, code ${answer.error}`);
    partition.suspend(error.message);
    context.onTrouble("metadata", error);
    return;
  }
  const from = partition.position;
  partition.ends = answer.highWatermark;
  partition.heardMs = performance.now();
  try {
    const { topic, partition: number, position } = partition;
    const options = { topic, partition: number, position, maxEventBytes: context.maxEventBytes };
    for await (const entries of readEntries(answer, options)) {
      const gap = await gapBefore(entries, partition, context);
      const stored = gap === undefined ? entries : [gap, ...entries];
      if (!(await context.appender.append(stored, isWanted))) return;
      const last = entries.at(-1);
      if (last !== undefined) partition.position = positionAfter(last);
      await context.breath.after(entries);
    }
    if (partition.standingMs(from, answer, performance.now()) > context.watchdogMs) {
      throw new Error(`${name} stands at ${partition.position}, though Kafka has more`);
    }
  } catch (error) {
    partition.suspend(describeKafkaError(error));
    context.onTrouble("watchdog", error);
  }
}

/** Offsets that are not there: compaction's, or did retention overtake us? */
async function gapBefore(
  entries: readonly LogEntry[],
  partition: FeedPartition,
  context: ReaderContext,
): Promise<LogEntry | undefined> {
  const first = entries[0];
  const isRecord = first?.kind === "record" || first?.kind === "skipped";
  if (!isRecord || first.offset <= partition.position) return undefined;
  const start = await context.startOf(partition);
  if (start <= partition.position) return undefined;
  const { topic, partition: number } = partition;
  return { kind: "gap", topic, partition: number, next: Math.min(start, first.offset) };
}

function keyOf({ topicId, partition }: { topicId: Uint8Array; partition: number }): string {
  return `${Buffer.from(topicId).toString("hex")}/${partition}`;
}
