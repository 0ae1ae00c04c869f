import { expect, test } from "bun:test";
import { gzipStream } from "../../test/support/batches.ts";
import { Deflater } from "./gzip-deflater.ts";

test("a batch is deflated once, and the same array is written, however many streams it goes to", () => {
  const deflater = new Deflater();
  const streams = Array.from({ length: 100 }, () => gzipStream(deflater));
  const [first, second] = [Buffer.alloc(900, "first "), Buffer.alloc(900, "second ")];
  for (const { sink } of streams) sink.write(first);
  for (const { sink } of streams) {
    sink.write(second);
    sink.write(first);
  }
  const arrays = streams.map(({ inner }) => inner.pieces);
  // Of the first write, the header is each stream's own.
  expect(new Set(arrays.map((pieces) => pieces[1])).size).toBe(1);
  expect(new Set(arrays.map((pieces) => pieces[2])).size).toBe(1);
  expect(arrays[0]?.[2]).toBe(deflater.deflate(first));
  expect(deflater.deflate(Buffer.from(first))).not.toBe(deflater.deflate(first));
});

test("bytes are counted before and after, for each stream that they went to", () => {
  const deflater = new Deflater();
  const bytes = Buffer.alloc(10_000, "many of the same ");
  const streams = [gzipStream(deflater), gzipStream(deflater), gzipStream(deflater)];
  for (const { sink } of streams) sink.write(bytes);
  for (const { sink } of streams) sink.end();
  expect(deflater.inputBytes).toBe(30_000);
  const written = streams.reduce((sum, { inner }) => sum + inner.bytes.byteLength, 0);
  expect(deflater.outputBytes).toBe(written);
});
