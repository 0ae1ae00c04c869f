import { expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decompress } from "./codecs.ts";
import { crc32c } from "./crc32c.ts";

const BOMB = Buffer.alloc(80 << 20);

test("F12 a batch that unfolds beyond its bound is refused before it takes the memory", async () => {
  expect(await refusal(1, gzipSync(BOMB))).toContain("larger than");
  expect(await refusal(4, zstdCompressSync(BOMB))).toContain("larger than");
  // Snappy's length comes first: 2^31 - 1 here.
  const snappy = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0]);
  expect(await refusal(2, snappy)).toContain("unfolds");
});

test("F12 damaged bytes and unknown codecs are refused", async () => {
  for (const codec of [1, 2, 3, 4, 5, 6, 7]) {
    expect(await refusal(codec, Buffer.from("not compressed"))).not.toBe("accepted");
  }
});

test("the checksum is the one of RFC 3720's examples", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
});

function refusal(codec: number, bytes: Uint8Array): Promise<string> {
  return decompress(codec, bytes).then(() => "accepted", String);
}
