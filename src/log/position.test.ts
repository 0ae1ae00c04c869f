import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatPosition,
  hasReached,
  laterOf,
  MAX_PARTITIONS,
  parsePosition,
  type Position,
  tagOfUuid,
} from "./position.ts";

const topicName = fc
  .stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
  .filter((name) => name !== "." && name !== "..");
const topicPosition = fc.record({
  tag: fc.stringMatching(/^[a-z0-9]{1,8}$/),
  offsets: fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 20 }),
});
const position = fc
  .uniqueArray(fc.tuple(topicName, topicPosition), {
    selector: ([name]) => name,
    minLength: 1,
    maxLength: 5,
  })
  .map((topics): Position => new Map(topics));

/** As parsing returns it: topics in byte order. */
function inByteOrder(p: Position): Position {
  return new Map([...p].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

describe("a position id", () => {
  test("is what the protocol's example says", () => {
    const id = "1~orders~k3f9x~1042.998~payments~a81bz~77";
    const parsed = parsePosition(id);
    expect(parsed).toEqual(
      new Map([
        ["orders", { tag: "k3f9x", offsets: [1042, 998] }],
        ["payments", { tag: "a81bz", offsets: [77] }],
      ]),
    );
    expect(formatPosition(parsed ?? new Map())).toBe(id);
  });

  test("comes back as the position it was made from", () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(parsePosition(formatPosition(p))).toEqual(inByteOrder(p));
      }),
    );
  });

  test.each([
    ["B2 garbage", "garbage"],
    ["B2 nothing", ""],
    ["B2 no topics", "1"],
    ["B4 a part missing", "1~orders~k3f9x"],
    ["B4 trailing bytes", "1~orders~k3f9x~1~"],
    ["B4 an empty offset", "1~orders~k3f9x~1."],
    ["B5 NUL", "1~or\0ders~k3f9x~1"],
    ["B5 emoji", "1~orders~k3f9x~😀"],
    ["B5 url-encoded", "1%7Eorders~k3f9x~1"],
    ["B7 a negative offset", "1~orders~k3f9x~-1"],
    ["B7 the same topic twice", "1~orders~k3f9x~1~orders~k3f9x~1"],
    ["B7 topics out of order", "1~payments~k3f9x~1~orders~k3f9x~1"],
    ["B11 a later version", "2~orders~k3f9x~1"],
    ["B15 a topic named ..", "1~..~k3f9x~1"],
    ["leading zeros", "1~orders~k3f9x~01"],
    ["an upper-case tag", "1~orders~K3~1"],
    ["a tag of nine characters", "1~orders~abcdefghi~1"],
    ["A20 an offset above 2^53", "1~orders~k3f9x~9007199254740993"],
    ["B3 more than 4,096 bytes", `1~orders~k3f9x~${"1".repeat(4096)}`],
    [
      "B7 too many partitions",
      `1~o~k~${Array(MAX_PARTITIONS + 1)
        .fill("0")
        .join(".")}`,
    ],
  ])("%s is malformed", (_, id) => {
    expect(parsePosition(id)).toBeUndefined();
  });

  test("B3 of 64 KB is refused in bounded time whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 65_536 }), (text) => {
        const parsed = parsePosition(text);
        if (parsed) expect(formatPosition(parsed)).toBe(text);
      }),
    );
  });
});

test("tags have 1 to 8 characters and depend on every byte of the topic's id", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(15), (uuid, at) => {
      expect(tagOfUuid(uuid)).toMatch(/^[a-z0-9]{1,8}$/);
      const other = uuid.map((byte, i) => (i === at ? byte ^ 1 : byte));
      expect(tagOfUuid(other)).not.toBe(tagOfUuid(uuid));
    }),
  );
});

test("the later of two positions is the element-wise maximum, and has reached both", () => {
  const a: Position = new Map([["t", { tag: "x", offsets: [5, 1] }]]);
  const b: Position = new Map([["t", { tag: "x", offsets: [3, 4, 2] }]]);
  const later = laterOf(a, b).get("t");
  expect(later?.offsets).toEqual([5, 4, 2]);
  for (const p of [a, b]) {
    const part = p.get("t");
    expect(part && hasReached(later, part)).toBe(true);
  }
  expect(hasReached(b.get("t"), { tag: "x", offsets: [5, 1] })).toBe(false);
  expect(hasReached(b.get("t"), { tag: "y", offsets: [0] })).toBe(false);
});
