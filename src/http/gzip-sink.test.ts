import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { anyBatch, gzipStream, noise } from "../../test/support/batches.ts";
import { runs } from "../../test/support/effort.ts";
import { MAX_WRITE_BYTES } from "../hub/page.ts";
import { GZIP_HEADER } from "./gzip-blocks.ts";
import { Deflater } from "./gzip-deflater.ts";

test("any batches make one gzip member, whose trailer is right", () => {
  fc.assert(
    fc.property(fc.array(anyBatch, { maxLength: 30 }), (batches) => {
      const { sink, inner } = gzipStream();
      for (const bytes of batches) sink.write(bytes);
      sink.end();
      // It throws where CRC or length are wrong, or anything follows the trailer.
      expect(gunzipSync(inner.bytes)).toEqual(Buffer.concat(batches));
      expect(inner.ending).toBe("end");
    }),
    { numRuns: runs(1000) },
  );
});

test("what the hub may write at once grows by no more than three empty blocks and a header", () => {
  const bytes = noise(MAX_WRITE_BYTES);
  const { sink, inner } = gzipStream();
  sink.write(bytes);
  expect(inner.pieces[0]?.byteLength).toBeLessThanOrEqual(MAX_WRITE_BYTES + 3 * 5 + 10);
});

test("streams that share batches have trailers of their own", () => {
  const deflater = new Deflater();
  const shared = fc.sample(anyBatch, 50);
  const streams = Array.from({ length: 20 }, (_, i) => {
    const own: Uint8Array = Buffer.from(`the subscriber ${i} `.repeat(i));
    return { ...gzipStream(deflater), sent: [own] };
  });
  for (const { sink, sent } of streams) for (const own of sent) sink.write(own);
  for (const [n, bytes] of shared.entries()) {
    for (const [i, { sink, sent }] of streams.entries()) {
      // Now and then one of them is left out, so that what came before differs.
      if (n % (i + 2) === 0) continue;
      sink.write(bytes);
      sent.push(bytes);
    }
  }
  for (const { sink } of streams) sink.end();
  for (const { inner, sent } of streams) {
    expect(gunzipSync(inner.bytes)).toEqual(Buffer.concat(sent));
  }
  const trailers = streams.map(({ inner }) => inner.bytes.subarray(-8).toString("hex"));
  expect(new Set(trailers).size).toBe(streams.length);
});

test("the header leaves with the first bytes, in one write, and never again", () => {
  const { sink, inner } = gzipStream();
  sink.write(Buffer.from("first"));
  sink.write(Buffer.from("second"));
  expect(inner.pieces.length).toBe(2);
  const [first = GZIP_HEADER, second = GZIP_HEADER] = inner.pieces;
  expect(first.subarray(0, 10)).toEqual(GZIP_HEADER);
  expect(first.byteLength).toBe(10 + 5 + 5 + 5);
  expect(second.byteLength).toBe(6 + 5 + 5);
});

test("a stream that ends before anything was written is a gzip member of nothing", () => {
  const { sink, inner } = gzipStream();
  sink.end();
  expect(gunzipSync(inner.bytes).byteLength).toBe(0);
});

test("a dropped stream has no trailer", () => {
  const { sink, inner } = gzipStream();
  sink.write(Buffer.from("half an ev"));
  sink.drop();
  expect(inner.ending).toBe("drop");
  expect(inner.pieces.length).toBe(1);
});

test("a peer that pushes back is told of as it was", () => {
  const { sink, inner } = gzipStream();
  expect(sink.write(Buffer.from("a"))).toBe(true);
  inner.isTaken = false;
  expect(sink.write(Buffer.from("b"))).toBe(false);
});
