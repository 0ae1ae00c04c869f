/** A Kafka header; names may repeat, values are bytes. */
export type RecordHeader = readonly [name: string, value: Uint8Array];

/** Kafka's message.timestamp.type, in kcat's words. */
export type TimestampType = "create" | "logappend" | "unknown";

/** Why a record cannot be shown (the `reason` of a `skipped` event). */
export type SkipReason = "too-large" | "undecodable";

/** What all entries of one partition have in common. */
interface PartitionEntry {
  readonly topic: string;
  readonly partition: number;
}

/** A record as it came from Kafka or from an embedded publish. The bytes belong to the log: copy before appending. */
export interface RecordEntry extends PartitionEntry {
  readonly kind: "record";
  readonly offset: number;
  /** Milliseconds since 1970, -1 where there is none. Any value: producers set it. */
  readonly timestampMs: number;
  readonly timestampType: TimestampType;
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** A record that cannot be shown; key and headers are kept where they are known and small, so that filters and targets hold. */
export interface SkippedEntry extends PartitionEntry {
  readonly kind: "skipped";
  readonly offset: number;
  readonly timestampMs: number;
  readonly reason: SkipReason;
  readonly key: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** The partition went on to `next` without a record to show: control batches, holes of compaction. */
export interface AdvanceEntry extends PartitionEntry {
  readonly kind: "advance";
  readonly next: number;
}

/**
 * Kafka lost or dropped what lay between the position here and `next`. `next` may lie BELOW the
 * position: the partition was truncated, and its offsets are given again.
 */
export interface GapEntry extends PartitionEntry {
  readonly kind: "gap";
  readonly next: number;
}

/**
 * From here on the topic has this tag and these positions: it is new to the log, was re-created
 * (another tag), or has more partitions (same tag, a longer list).
 */
export interface TopicEntry {
  readonly kind: "topic";
  readonly topic: string;
  readonly tag: string;
  /** Next offset of partition 0, 1, 2 …, all of them. */
  readonly offsets: readonly number[];
}

/** One thing that happened to a served topic; the log keeps them in the order in which this instance delivers them. */
export type LogEntry = RecordEntry | SkippedEntry | AdvanceEntry | GapEntry | TopicEntry;

/** What SSE_MAX_EVENT_BYTES limits: key, value and headers together, in bytes. */
export function recordBytes(record: Pick<RecordEntry, "key" | "value" | "headers">): number {
  let bytes = (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0);
  for (const [name, value] of record.headers) bytes += Buffer.byteLength(name) + value.byteLength;
  return bytes;
}
