import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { SharedCrc } from "./gzip-crc.ts";

test("the CRC of each of many streams is the one that zlib computes of all that the stream held", () => {
  const bytes = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), bytes, bytes, (before, shared, after) => {
      const crc = new SharedCrc();
      for (const part of before) {
        // After so many uses of the same bytes a table is made.
        for (const array of [...Array.from({ length: 40 }, () => shared), after]) {
          const appended = crc.append(crc32(part) | 0, array) >>> 0;
          expect(appended).toBe(crc32(Buffer.concat([part, array])));
        }
      }
    }),
  );
});

test.each([0, 1, 3, 255, 256, 4096, 65_535, 65_536, 262_144])(
  "bytes of length %d are appended rightly to any CRC",
  (length) => {
    const bytes = Buffer.alloc(length, "shared bytes");
    const crc = new SharedCrc();
    for (let uses = 0; uses < 40; uses += 1) crc.append(0, bytes);
    for (const start of [0, 1, -1, 0x7fffffff, -0x80000000, 0x12345678, 0xffffff00 | 0]) {
      expect(crc.append(start, bytes) >>> 0).toBe(crc32(bytes, start >>> 0));
    }
  },
);

test("the same bytes in another array are not taken for those of the last one's table", () => {
  const crc = new SharedCrc();
  const [some, others] = [Buffer.from("some"), Buffer.from("other bytes")];
  for (const bytes of [some, others, some, others, some]) {
    for (let uses = 0; uses < 40; uses += 1) {
      expect(crc.append(uses, bytes) >>> 0).toBe(crc32(bytes, uses));
    }
  }
});
