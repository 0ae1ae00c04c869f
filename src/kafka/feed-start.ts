import type { TopicPosition } from "../log/position.ts";
import type { FeedContext } from "./feed-context.ts";
import { offsetsOf } from "./metadata.ts";
import { EARLIEST, LATEST } from "./requests.ts";
import type { TopicMetadata } from "./requests.ts";

/** What a record is taken to cost in the log before any was seen. */
const ESTIMATED_RECORD_BYTES = 512;

/**
 * Where the partitions of a topic begin that the log does not know as it is now: where it is new,
 * the later of the retention's reach and what the log can hold; where it was made again, its own
 * start; where it has grown, 0 in the new partitions. undefined while a partition's leader does not say.
 */
export async function firstPositions(
  context: Pick<FeedContext, "brokers" | "patienceMs" | "retentionMs" | "maxBytes">,
  topic: TopicMetadata,
  { tag, known, totalPartitions }: { tag: string; known?: TopicPosition; totalPartitions: number },
): Promise<number[] | undefined> {
  if (known?.tag === tag) return topic.partitions.map((_, index) => known.offsets[index] ?? 0);
  const ask = (timestampMs: number): ReturnType<typeof offsetsOf> =>
    offsetsOf(context.brokers, [topic], timestampMs, context.patienceMs());
  const isNew = known === undefined;
  const [starts, ends, inRetention] = await Promise.all([
    ask(EARLIEST),
    ask(LATEST),
    ask(isNew ? Math.max(0, Date.now() - context.retentionMs) : EARLIEST),
  ]);
  const room = Math.floor(context.maxBytes / ESTIMATED_RECORD_BYTES / totalPartitions);
  const positions: number[] = [];
  for (const { partition } of topic.partitions) {
    const start = starts.of(topic.name, partition);
    const end = ends.of(topic.name, partition);
    const recent = inRetention.of(topic.name, partition);
    if (start === undefined || end === undefined || recent === undefined) return undefined;
    if (start < 0 || end < 0) return undefined;
    // -1: no record is that young.
    const inReach = recent < 0 ? end : recent;
    positions.push(isNew ? Math.max(start, inReach, end - room) : start);
  }
  return positions;
}
