import { expect, test } from "bun:test";
import { murmur2, partitionOfKey } from "./partitioner.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

// org.apache.kafka.common.utils.UtilsTest.testMurmur2
test.each([
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
])("the hash of %s is Java's", (key, hash) => {
  expect(murmur2(bytes(key))).toBe(hash);
});

test("a key keeps its partition, whatever its hash's sign", () => {
  // (hash & 0x7fffffff) % partitions
  expect(partitionOfKey(bytes("21"), 4)).toBe(1_173_551_340 % 4);
  expect(partitionOfKey(bytes("abc"), 4)).toBe(479_470_107 % 4);
  expect(partitionOfKey(new Uint8Array(), 1)).toBe(0);
});
