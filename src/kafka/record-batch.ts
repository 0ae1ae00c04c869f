import type { RecordHeader, TimestampType } from "../log/entry.ts";
import { decompress } from "./codecs.ts";
import { crc32c } from "./crc32c.ts";
import { ByteReader } from "./wire.ts";

/** A record as it lies in a batch; the bytes are views into the fetched response. */
export interface BatchRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly timestampType: TimestampType;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** What one record batch says, before its records are read. */
export interface RecordBatch {
  readonly baseOffset: number;
  /** Of the batch as it was written: compaction may have removed the records there. */
  readonly lastOffset: number;
  /** -1 where the producer has none. */
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** `abort` and `commit` are transactions' markers, `other` any other batch of Kafka's own. */
  readonly control: "abort" | "commit" | "other" | undefined;
  /**
   * Rejects where the batch is damaged, or compressed in an unknown way. Records are read as they
   * are asked for, and it throws then where one cannot be: a megabyte can unfold into millions of
   * them, and to read them in one go would stop the event loop for seconds.
   */
  records(): Promise<Iterable<BatchRecord>>;
}

/** Bytes before the part that `Length` counts. */
const LENGTH_OVERHEAD = 12;
/** From the batch's begin to the attributes, where the checksum's cover begins. */
const CRC_END = 21;
const CURRENT_MAGIC = 2;
const CODEC = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/**
 * The whole batches in a fetched set of records [kafka.apache.org/documentation#recordbatch]. A
 * batch that was cut off by the fetch's limit is left out.
 */
export function readBatches(records: Uint8Array): RecordBatch[] {
  const batches: RecordBatch[] = [];
  const reader = new ByteReader(records);
  while (reader.remaining > LENGTH_OVERHEAD) {
    const baseOffset = reader.int64();
    const length = reader.int32();
    if (length > reader.remaining || length < 0) break;
    const body = reader.bytes(length);
    const magic = new DataView(body.buffer, body.byteOffset, body.byteLength).getInt8(4);
    batches.push(magic === CURRENT_MAGIC ? batchOf(baseOffset, body) : oldBatch(baseOffset));
  }
  return batches;
}

function batchOf(baseOffset: number, body: Uint8Array): RecordBatch {
  const reader = new ByteReader(body);
  reader.int32();
  reader.int8();
  const crc = reader.uint32();
  const attributes = reader.int16();
  const lastOffset = baseOffset + reader.int32();
  const firstTimestampMs = reader.int64();
  const maxTimestampMs = reader.int64();
  const producerId = reader.bigint64();
  reader.int16();
  reader.int32();
  const count = reader.int32();
  const payload = reader.rest();
  const read = async (): Promise<Iterable<BatchRecord>> => {
    if (crc32c(body.subarray(CRC_END - LENGTH_OVERHEAD)) !== crc) {
      throw new Error("The batch's checksum is wrong");
    }
    const bytes = new ByteReader(await decompress(attributes & CODEC, payload));
    const appendTimeMs = (attributes & LOG_APPEND_TIME) === 0 ? undefined : maxTimestampMs;
    return recordsOf(bytes, { count, baseOffset, firstTimestampMs, appendTimeMs });
  };
  return {
    baseOffset,
    lastOffset,
    producerId,
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    control: (attributes & CONTROL) === 0 ? undefined : controlOf(payload),
    records: read,
  };
}

/** What all records of a batch are relative to. */
interface Origin {
  readonly count: number;
  readonly baseOffset: number;
  readonly firstTimestampMs: number;
  /** The broker's, where the topic wants that one. */
  readonly appendTimeMs: number | undefined;
}

function* recordsOf(
  bytes: ByteReader,
  { count, baseOffset, firstTimestampMs, appendTimeMs }: Origin,
): Generator<BatchRecord, void, void> {
  for (let left = count; left > 0; left -= 1) {
    const record = recordOf(bytes, baseOffset, firstTimestampMs);
    yield appendTimeMs === undefined
      ? record
      : { ...record, timestampMs: appendTimeMs, timestampType: "logappend" };
  }
}

function recordOf(bytes: ByteReader, baseOffset: number, firstTimestampMs: number): BatchRecord {
  const reader = new ByteReader(bytes.bytes(bytes.varint()));
  reader.int8();
  const timestampMs = firstTimestampMs + reader.varint();
  const offset = baseOffset + reader.varint();
  const key = nullable(reader);
  const value = nullable(reader);
  const headers: RecordHeader[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) {
    const name = utf8.decode(reader.bytes(reader.varint()));
    // A header's value may be null in Kafka; to a subscriber there is no difference.
    headers.push([name, nullable(reader) ?? new Uint8Array()]);
  }
  return { offset, timestampMs, timestampType: "create", key, value, headers };
}

function nullable(reader: ByteReader): Uint8Array | null {
  const length = reader.varint();
  return length < 0 ? null : reader.bytes(length);
}

/** The type in a control record's key: version, then 0 for abort and 1 for commit (KIP-98). */
function controlOf(payload: Uint8Array): RecordBatch["control"] {
  try {
    const { key } = recordOf(new ByteReader(payload), 0, 0);
    const type = key === null ? -1 : new ByteReader(key.subarray(2)).int16();
    return type === 0 ? "abort" : type === 1 ? "commit" : "other";
  } catch {
    return "other";
  }
}

/** Message formats of before 2017, which Kafka 4 no longer writes; `lastOffset` is all that a reader needs to go on. */
function oldBatch(lastOffset: number): RecordBatch {
  return {
    // A compressed set of this format carries its LAST offset.
    baseOffset: lastOffset,
    lastOffset,
    producerId: -1n,
    isTransactional: false,
    control: undefined,
    records: () => Promise.reject(new Error("The batch's format is older than Kafka 0.11")),
  };
}

const utf8 = new TextDecoder();
