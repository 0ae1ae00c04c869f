import type { LogEntry, RecordEntry, RecordHeader, SkippedEntry } from "../log/entry.ts";
import { recordBytes } from "../log/entry.ts";
import { readBatches } from "./record-batch.ts";
import type { BatchRecord, RecordBatch } from "./record-batch.ts";
import type { AbortedTransaction, FetchAnswer } from "./requests.ts";

/** Where a fetched answer goes to. */
export interface EntriesOptions {
  readonly topic: string;
  readonly partition: number;
  /** What lies below was read before. */
  readonly position: number;
  readonly maxEventBytes: number;
}

/** Entries of one transaction of the log: bounds how long the event loop stands still. */
const CHUNK_ENTRIES = 1_000;

/** A key or header that is longer does not go with a record that is skipped for its size. */
const KEPT_BYTES = 4_096;

/**
 * The log entries of a fetched answer, in chunks, with copied bytes. Kafka's own records and those
 * of aborted transactions are left out; the last chunk ends where the answer does, with an
 * `advance` where no record stands there.
 */
export async function* readEntries(
  { records, aborted, lastStableOffset }: FetchAnswer,
  { topic, partition, position, maxEventBytes }: EntriesOptions,
): AsyncGenerator<LogEntry[]> {
  const transactions = new AbortedTransactions(aborted);
  let chunk: LogEntry[] = [];
  let written = position;
  let next = position;
  for (const batch of records === null ? [] : readBatches(records)) {
    const isAborted = transactions.isAborted(batch);
    if (batch.lastOffset < next) continue;
    const readable = batch.control === undefined && !isAborted ? await recordsOf(batch) : NONE;
    for (;;) {
      const found = nextOf(readable);
      if (found === "end") break;
      if (found === "undecodable") {
        // What could be read before it is shown all the same.
        const offset = Math.max(batch.baseOffset, next, written);
        if (offset > batch.lastOffset) break;
        chunk.push(undecodable(topic, partition, offset));
        written = offset + 1;
        break;
      }
      if (found.offset < next) continue;
      chunk.push(toEntry(found, topic, partition, maxEventBytes));
      written = found.offset + 1;
      if (chunk.length < CHUNK_ENTRIES) continue;
      yield chunk;
      chunk = [];
    }
    // A damaged batch may claim any last offset; what is beyond the committed end is not its to claim.
    next = Math.max(written, Math.min(batch.lastOffset + 1, lastStableOffset));
  }
  if (next > written) chunk.push({ kind: "advance", topic, partition, next });
  if (chunk.length > 0) yield chunk;
}

/** Where the partition stands after an entry. */
export function positionAfter(entry: LogEntry): number {
  if (entry.kind === "topic") throw new Error("A topic entry is of no partition");
  return entry.kind === "advance" || entry.kind === "gap" ? entry.next : entry.offset + 1;
}

type Records = Iterator<BatchRecord, void, void>;

const NONE: Records = [][Symbol.iterator]();

/** undefined where the batch cannot be read. */
async function recordsOf(batch: RecordBatch): Promise<Records | undefined> {
  try {
    return (await batch.records())[Symbol.iterator]();
  } catch {
    // Whatever a codec throws: upstream data, which is counted and not ours to mend.
    return undefined;
  }
}

function nextOf(records: Records | undefined): BatchRecord | "end" | "undecodable" {
  try {
    return records === undefined ? "undecodable" : (records.next().value ?? "end");
  } catch {
    // As above: a record that is not one, in a batch that is whole.
    return "undecodable";
  }
}

function toEntry(
  record: BatchRecord,
  topic: string,
  partition: number,
  maxEventBytes: number,
): RecordEntry | SkippedEntry {
  const { offset, timestampMs, timestampType, key, value, headers } = record;
  if (recordBytes(record) > maxEventBytes) {
    return {
      kind: "skipped",
      topic,
      partition,
      offset,
      timestampMs,
      reason: "too-large",
      key: key !== null && key.byteLength <= KEPT_BYTES ? copy(key) : null,
      headers: keptHeaders(headers, maxEventBytes),
    };
  }
  return {
    kind: "record",
    topic,
    partition,
    offset,
    timestampMs,
    timestampType,
    key: key === null ? null : copy(key),
    value: value === null ? null : copy(value),
    headers: headers.map(copyHeader),
  };
}

function undecodable(topic: string, partition: number, offset: number): SkippedEntry {
  return {
    kind: "skipped",
    topic,
    partition,
    offset,
    timestampMs: -1,
    reason: "undecodable",
    key: null,
    headers: [],
  };
}

/** What filters and targets need, of `maxBytes` in all: what is skipped takes no more room than what is shown. */
function keptHeaders(headers: readonly RecordHeader[], maxBytes: number): RecordHeader[] {
  const kept: RecordHeader[] = [];
  let bytes = 0;
  let isTargetCut = false;
  for (const header of headers) {
    const [name, value] = header;
    if (name !== "type" && name !== "ce_type" && !name.startsWith("headgate-")) continue;
    const size = name.length + value.byteLength;
    if (size <= KEPT_BYTES && bytes + size <= maxBytes) {
      kept.push(copyHeader(header));
      bytes += size;
    } else isTargetCut ||= TARGET.test(name);
  }
  // It is still for those alone whom it names: without any target it would be for everybody.
  return isTargetCut ? [...kept, ["headgate-user", new Uint8Array()]] : kept;
}

const TARGET = /^headgate-(?:user|channel|client)$/;

function copyHeader([name, value]: RecordHeader): RecordHeader {
  return [name, copy(value)];
}

/** Not `slice`: of a Buffer that is a view, which would keep the whole response in memory. */
function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/**
 * Tells which batches belong to aborted transactions. Kafka lists those in the order in which they
 * ENDED, and with their first offsets; a producer's run of batches ends with its abort marker.
 */
class AbortedTransactions {
  readonly #waiting: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = aborted.toSorted((one, other) => other.firstOffset - one.firstOffset);
  }

  /** To be asked of each batch in turn. */
  isAborted({ lastOffset, producerId, control, isTransactional }: RecordBatch): boolean {
    for (let next = this.#waiting.at(-1); next !== undefined; next = this.#waiting.at(-1)) {
      if (next.firstOffset > lastOffset) break;
      this.#open.add(next.producerId);
      this.#waiting.pop();
    }
    if (control === "abort") this.#open.delete(producerId);
    return isTransactional && this.#open.has(producerId);
  }
}
