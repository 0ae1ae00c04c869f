import type { PartitionStatus } from "../log/source.ts";
import type { FeedPartition } from "./feed-partition.ts";

export interface FeedStatus {
  /** Whether Kafka answers, and some partition can be read. */
  readonly connected: boolean;
  /** Kafka does not answer: what is said of it is of `asOf`. */
  readonly stale?: true;
  /** When Kafka last answered, in milliseconds since 1970; left out where it never did. */
  readonly asOf?: number;
  /** Names this feed. Nothing is committed under it: the positions are in the log. */
  readonly groupId: string;
  readonly lastError?: string;
  /** What keeps the feed from being ready, for people to read. */
  readonly missing: readonly string[];
  readonly partitions: readonly PartitionStatus[];
}

/** A leader that is well answers twice a second, records or none: after this it is missed. */
const MISSED_AFTER_MS = 3_000;

/** What a feed knows of Kafka, all of it in memory: nobody waits for Kafka to hear that it is away. */
interface FeedState {
  readonly partitions: readonly FeedPartition[];
  /** Whether Kafka answered when it was last asked. */
  readonly isReachable: boolean;
  /** Whether the log has no room: then Kafka is asked for nothing. */
  readonly isHeld: boolean;
  /** When it last said what topics there are (monotonic, ms). */
  readonly answeredMs: number | undefined;
}

/** How far each partition was read, and of when that is. */
export function describeFeed({
  partitions,
  isReachable,
  isHeld,
  answeredMs,
}: FeedState): Pick<FeedStatus, "stale" | "asOf" | "partitions"> {
  const nowMs = performance.now();
  const wallMs = Date.now() - nowMs;
  const lastMs = partitions.reduce((last, one) => Math.max(last, one.heardMs), answeredMs ?? 0);
  const isMissed = nowMs - lastMs > MISSED_AFTER_MS && !isHeld;
  // One broker that does not say what topics there are is not all of Kafka.
  const isLost = !isReachable && partitions.every((one) => !one.isReading);
  const isStale = isLost || isMissed;
  return {
    ...(isStale && { stale: true }),
    ...(isStale && answeredMs !== undefined && { asOf: Math.round(wallMs + lastMs) }),
    partitions: partitions.map(
      ({ topic, partition, position, ends, isReading, heardMs, fault }): PartitionStatus => ({
        topic,
        partition,
        offset: position,
        highWatermark: Math.max(position, ends),
        lag: Math.max(0, ends - position),
        ...(fault !== undefined && { lastError: fault }),
        ...((!isReading || nowMs - heardMs > MISSED_AFTER_MS) && {
          staleSince: Math.round(wallMs + heardMs),
        }),
      }),
    ),
  };
}
