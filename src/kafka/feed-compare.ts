import type { LogEntry } from "../log/entry.ts";
import type { FeedContext } from "./feed-context.ts";
import { describeKafkaError } from "./client.ts";
import { readEntries } from "./feed-entries.ts";
import type { FeedPartition } from "./feed-partition.ts";
import { whereToReadOn } from "./feed-truncation.ts";
import { offsetsOf } from "./metadata.ts";
import type { PartitionOffsets } from "./metadata.ts";
import { EARLIEST, fetchRecords, KafkaErrorCode, LATEST } from "./requests.ts";
import type { TopicMetadata } from "./requests.ts";

/** A fetch always brings the first batch whole, whatever its limits. */
const ONE_BATCH = { maxWaitMs: 0, maxBytes: 1, maxPartitionBytes: 1 };

/**
 * Compares positions with Kafka, says gaps where they differ, and lets those partitions be read
 * on. A partition of which Kafka gave no answer, or an error, stays as it is.
 */
export async function compareWithKafka(
  context: FeedContext,
  partitions: readonly FeedPartition[],
): Promise<void> {
  if (partitions.length === 0) return;
  const [starts, ends] = await Promise.all([
    offsetsOfPartitions(context, partitions, EARLIEST),
    offsetsOfPartitions(context, partitions, LATEST),
  ]);
  if (starts.error !== undefined) context.note(starts.error);
  if (ends.error !== undefined) context.note(ends.error);
  const comparing = partitions.map(async (partition) => {
    const start = starts.of(partition.topic, partition.partition);
    const end = ends.of(partition.topic, partition.partition);
    if (start === undefined || end === undefined || start < 0 || end < start) {
      const error = starts.error ?? ends.error ?? "Its leader does not say what it holds";
      partition.blame(describeKafkaError(error));
      return;
    }
    try {
      await compare(context, partition, { start, end });
    } catch (error) {
      partition.blame(describeKafkaError(error));
      context.note(error);
    }
  });
  await Promise.all(comparing);
}

/** Kafka's first offset of a partition now. Rejects where it does not say. */
export async function startOf(context: FeedContext, partition: FeedPartition): Promise<number> {
  const starts = await offsetsOfPartitions(context, [partition], EARLIEST);
  const start = starts.of(partition.topic, partition.partition);
  if (start === undefined || start < 0) {
    throw new Error(`Kafka does not say where ${partition.name} starts`, { cause: starts.error });
  }
  return start;
}

async function compare(
  context: FeedContext,
  partition: FeedPartition,
  { start, end }: { start: number; end: number },
): Promise<void> {
  const { log, appender, logger } = context;
  const { topic, partition: number, turn, position } = partition;
  const isWanted = (): boolean => partition.turn === turn;
  const next = await whereToReadOn({
    position,
    start,
    end,
    stored: (offset) => log.find(topic, number, offset),
    fetched: (offset) => fetchOne(context, partition, offset),
  });
  if (next !== position) {
    const gap = { kind: "gap", topic, partition: number, next } as const;
    if (!(await appender.append([gap], isWanted))) return;
    partition.position = next;
    logger.warn(
      { topic, partition: number, from: position, to: next },
      next < position ? "partition was truncated" : "records are gone from kafka",
    );
  }
  if (!isWanted()) return;
  partition.endAtStart ??= end;
  partition.ends = Math.max(end, next);
  partition.readOn();
}

async function fetchOne(
  { brokers, patienceMs, maxEventBytes }: FeedContext,
  partition: FeedPartition,
  offset: number,
): Promise<LogEntry | undefined> {
  const request = fetchRecords([{ ...partition.question, offset }], ONE_BATCH);
  const [answer] = await brokers.send(partition.leader, request, "control", patienceMs());
  if (answer === undefined || answer.error !== KafkaErrorCode.none) {
    throw new Error(`Kafka does not give ${partition.name} at ${offset}, code ${answer?.error}`);
  }
  const { topic, partition: number } = partition;
  const options = { topic, partition: number, position: offset, maxEventBytes };
  for await (const [first] of readEntries(answer, options)) {
    return first !== undefined && "offset" in first && first.offset === offset ? first : undefined;
  }
  return undefined;
}

function offsetsOfPartitions(
  { brokers, patienceMs }: FeedContext,
  partitions: readonly FeedPartition[],
  timestampMs: number,
): Promise<PartitionOffsets> {
  const topics = new Map<string, Pick<TopicMetadata, "name" | "partitions">>();
  for (const [name, members] of Map.groupBy(partitions, ({ topic }) => topic)) {
    topics.set(name, { name, partitions: members });
  }
  return offsetsOf(brokers, [...topics.values()], timestampMs, patienceMs());
}
