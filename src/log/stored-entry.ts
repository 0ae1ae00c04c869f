import { isUtf8 } from "node:buffer";
import type { LogEntry, RecordHeader, SkipReason, TimestampType } from "./entry.ts";

/**
 * An entry as the log returns it. One flat shape for all kinds keeps the readers' loops fast;
 * which fields mean something follows from `kind`, as in `entry.ts`.
 */
export interface StoredEntry {
  /** Place in this instance's order of delivery: 1, 2, 3 … */
  readonly seq: number;
  readonly kind: LogEntry["kind"];
  readonly topic: string;
  /** The tag of the incarnation that the entry belongs to. */
  readonly tag: string;
  readonly partition: number;
  /** The partition stands at `offset + 1` after this entry, whatever its kind. -1 for kind `topic`. */
  readonly offset: number;
  /** When this instance stored it (retention goes by this). */
  readonly arrivedMs: number;
  readonly timestampMs: number;
  readonly timestampType: TimestampType;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  /** Kind `skipped` only. */
  readonly reason: SkipReason | undefined;
  /** Kind `topic` only. */
  readonly offsets: readonly number[] | undefined;
}

/** A row of the table `entries`, joined with its topic. */
export interface EntryRow {
  seq: number;
  kind: number;
  name: string;
  tag: string;
  partition: number;
  offset: number;
  arrived: number;
  ts: number;
  ts_type: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: string | null;
}

/** The numbers that stand for the kinds in the database: never renumber. */
export const KINDS = { record: 0, skipped: 1, advance: 2, gap: 3, topic: 4 } as const;

const KIND_NAMES = ["record", "skipped", "advance", "gap", "topic"] as const;
const TIMESTAMP_TYPES = ["unknown", "create", "logappend"] as const;
const NO_HEADERS: readonly RecordHeader[] = [];

/** Gives an entry its place in the log. */
export function placeEntry(
  entry: LogEntry,
  place: { seq: number; tag: string; arrivedMs: number },
): StoredEntry {
  const bare = entry.kind === "advance" || entry.kind === "gap" || entry.kind === "topic";
  return {
    seq: place.seq,
    kind: entry.kind,
    topic: entry.topic,
    tag: place.tag,
    partition: entry.kind === "topic" ? -1 : entry.partition,
    offset: entry.kind === "topic" ? -1 : "next" in entry ? entry.next - 1 : entry.offset,
    arrivedMs: place.arrivedMs,
    timestampMs: bare ? -1 : entry.timestampMs,
    timestampType: entry.kind === "record" ? entry.timestampType : "unknown",
    key: bare ? null : entry.key,
    value: entry.kind === "record" ? entry.value : null,
    headers: bare ? NO_HEADERS : entry.headers,
    reason: entry.kind === "skipped" ? entry.reason : undefined,
    offsets: entry.kind === "topic" ? entry.offsets : undefined,
  };
}

/** The columns ts, ts_type, key, value and headers of an entry. */
export function toColumns(
  entry: StoredEntry,
): [number, number, Uint8Array | null, Uint8Array | string | null, string | null] {
  const value = entry.kind === "record" ? entry.value : (entry.reason ?? toList(entry.offsets));
  return [
    entry.timestampMs,
    TIMESTAMP_TYPES.indexOf(entry.timestampType),
    entry.key,
    value,
    entry.headers.length > 0 ? encodeHeaders(entry.headers) : null,
  ];
}

function toList(offsets: readonly number[] | undefined): string | null {
  return offsets ? offsets.join(".") : null;
}

/** Reads what `toColumns` wrote. */
export function fromRow(row: EntryRow): StoredEntry {
  const kind = KIND_NAMES[row.kind] ?? "record";
  const text = kind === "record" ? undefined : (row.value as unknown);
  return {
    seq: row.seq,
    kind,
    topic: row.name,
    tag: row.tag,
    partition: row.partition,
    offset: row.offset,
    arrivedMs: row.arrived,
    timestampMs: row.ts,
    timestampType: TIMESTAMP_TYPES[row.ts_type] ?? "unknown",
    key: row.key,
    value: kind === "record" ? row.value : null,
    headers: row.headers === null ? NO_HEADERS : decodeHeaders(row.headers),
    reason: kind === "skipped" ? (text === "too-large" ? "too-large" : "undecodable") : undefined,
    offsets: kind === "topic" ? String(text).split(".").map(Number) : undefined,
  };
}

/** What an entry counts towards DATA_MAX_BYTES: its bytes and what a row and its index entry cost. */
export function storedBytes(entry: StoredEntry): number {
  let bytes = 64 + (entry.key?.byteLength ?? 0) + (entry.value?.byteLength ?? 0);
  for (const [name, value] of entry.headers) bytes += name.length + value.byteLength + 8;
  return bytes;
}

/** JSON `[[name, text]]`, or `[[name, null, base64]]` where a value is not UTF-8. */
function encodeHeaders(headers: readonly RecordHeader[]): string {
  return JSON.stringify(
    headers.map(([name, value]) =>
      isUtf8(value)
        ? [name, Buffer.from(value).toString()]
        : [name, null, Buffer.from(value).toString("base64")],
    ),
  );
}

function decodeHeaders(text: string): RecordHeader[] {
  // The cast holds: only encodeHeaders writes this column.
  const list = JSON.parse(text) as [string, string | null, string?][];
  return list.map(([name, value, base64]) => [
    name,
    value === null ? Buffer.from(base64 ?? "", "base64") : Buffer.from(value),
  ]);
}
