import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { LogEntry } from "../log/entry.ts";
import { crc32c } from "./crc32c.ts";
import { readEntries } from "./feed-entries.ts";
import { ByteWriter } from "./wire.ts";

const GZIP = 1;

/** Length, attributes, timestamp and offset deltas, no key, a value of one byte, no headers. */
function record(offsetDelta: number): Uint8Array {
  const rest = new ByteWriter()
    .int8(0)
    .unsignedVarint(0)
    .unsignedVarint(offsetDelta * 2);
  const body = rest.int8(1).unsignedVarint(2).int8(120).unsignedVarint(0).done();
  return new ByteWriter()
    .unsignedVarint(body.byteLength * 2)
    .bytes(body)
    .done();
}

/** A batch with a right checksum, whatever its records are. */
function batch(
  baseOffset: number,
  lastOffsetDelta: number,
  records: readonly Uint8Array[],
  { count = records.length, codec = 0 } = {},
): Uint8Array {
  const payload = Buffer.concat(records);
  const covered = new ByteWriter().int16(codec).int32(lastOffsetDelta).int64(0).int64(0);
  covered.int64(-1).int16(-1).int32(-1).int32(count);
  covered.bytes(codec === GZIP ? gzipSync(payload) : payload);
  const bytes = covered.done();
  const head = new ByteWriter().int64(baseOffset).int32(bytes.byteLength + 9);
  head
    .int32(0)
    .int8(2)
    .bytes(Buffer.from(Uint32Array.of(crc32c(bytes)).buffer).swap32());
  return head.bytes(bytes).done();
}

async function read(...batches: Uint8Array[]): Promise<LogEntry[][]> {
  const answer = {
    topicId: new Uint8Array(16),
    partition: 0,
    error: 0,
    highWatermark: 1e9,
    lastStableOffset: 1e9,
    logStartOffset: 0,
    aborted: [],
    records: Buffer.concat(batches),
  };
  const options = { topic: "t", partition: 0, position: 0, maxEventBytes: 1_000 };
  return Array.fromAsync(readEntries(answer, options));
}

function places(chunks: readonly LogEntry[][]): unknown[] {
  return chunks.flat().map((entry) => {
    return [
      entry.kind,
      "offset" in entry ? entry.offset : "next" in entry ? entry.next : undefined,
    ];
  });
}

test("what can be read before a record that is none is shown, and the rest of its batch skipped", async () => {
  const broken = new Uint8Array([0x7e, 1, 2]);
  expect(
    places(
      await read(batch(0, 5, [record(0), record(1), broken, record(3)]), batch(6, 0, [record(0)])),
    ),
  ).toEqual([
    ["record", 0],
    ["record", 1],
    ["skipped", 2],
    ["record", 6],
  ]);
});

test("a batch that claims more records than it has takes nothing of the next one", async () => {
  const claims = batch(0, 1, [record(0), record(1)], { count: 2 ** 31 - 1 });
  expect(places(await read(claims, batch(2, 0, [record(0)])))).toEqual([
    ["record", 0],
    ["record", 1],
    ["record", 2],
  ]);
});

test("a batch that unfolds into many records comes in chunks of a thousand", async () => {
  const count = 200_000;
  const many = Array.from({ length: count }, (_, i) => record(i));
  const chunks = await read(batch(0, count - 1, many, { codec: GZIP }));
  expect(chunks.map(({ length }) => length)).toEqual(Array.from({ length: 200 }, () => 1_000));
  expect(places(chunks.slice(-1)).at(-1)).toEqual(["record", count - 1]);
});
