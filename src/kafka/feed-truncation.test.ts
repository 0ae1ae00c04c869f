import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LogEntry } from "../log/entry.ts";
import { placeEntry } from "../log/stored-entry.ts";
import { whereToReadOn } from "./feed-truncation.ts";

test("F9 reading goes on at the first offset that differs, wherever that is", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 60 }),
      fc.nat({ max: 60 }),
      fc.nat({ max: 60 }),
      async (position, same, written) => {
        const kept = Math.min(position, same);
        const end = kept + written;
        const next = await whereToReadOn({
          position,
          start: 0,
          end,
          stored: (offset) =>
            offset < position
              ? placeEntry(record(offset, "old"), { seq: 1, tag: "t", arrivedMs: 0 })
              : undefined,
          fetched: (offset) =>
            Promise.resolve(
              offset < end ? record(offset, offset < kept ? "old" : "new") : undefined,
            ),
        });
        expect(next).toBe(kept);
      },
    ),
  );
});

test("F7 reading goes on at Kafka's start where that lies beyond the position", async () => {
  const nothing = { stored: () => undefined, fetched: () => Promise.resolve(undefined) };
  expect(await whereToReadOn({ position: 3, start: 7, end: 9, ...nothing })).toBe(7);
});

test("F8 records that compaction has removed are no truncation", async () => {
  const next = await whereToReadOn({
    position: 5,
    start: 0,
    end: 9,
    stored: (offset) => placeEntry(record(offset, "old"), { seq: 1, tag: "t", arrivedMs: 0 }),
    fetched: (offset) => Promise.resolve(offset === 1 ? record(1, "old") : undefined),
  });
  expect(next).toBe(5);
});

function record(offset: number, value: string): LogEntry {
  return {
    kind: "record",
    topic: "orders",
    partition: 0,
    offset,
    timestampMs: 1,
    timestampType: "create",
    key: null,
    value: Buffer.from(value),
    headers: [],
  };
}
