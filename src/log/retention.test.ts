import { expect, test } from "bun:test";
import type { LogEntry } from "./entry.ts";
import { EventLog } from "./event-log.ts";
import { createLogger } from "../logger.ts";
import { until } from "../../test/support/feed.ts";
import { startRetention } from "./retention.ts";

const HOUR_MS = 3_600_000;

function record(offset: number, timestampMs: number): LogEntry {
  return {
    kind: "record",
    topic: "t",
    partition: 0,
    offset,
    timestampMs,
    timestampType: "create",
    key: null,
    value: Buffer.from("x"),
    headers: [],
  };
}

test("F17 what a record says of its time neither keeps it nor removes it: retention goes by arrival", async () => {
  let nowMs = 1_704_672_000_000;
  using log = new EventLog({ path: ":memory:", durable: false, now: () => nowMs });
  log.append([{ kind: "topic", topic: "t", tag: "a", offsets: [0] }]);
  // None, 1970, tomorrow, and the largest there is.
  const times = [-1, 0, nowMs + 24 * HOUR_MS, Number.MAX_SAFE_INTEGER];
  log.append(times.map((timestampMs, offset) => record(offset, timestampMs)));
  using _ = startRetention(log, {
    retentionMs: HOUR_MS,
    maxBytes: 1 << 20,
    logger: createLogger("silent"),
    now: () => nowMs,
    intervalMs: 1,
  });
  nowMs += HOUR_MS / 2;
  log.append([record(4, 0)]);
  expect(log.trim({ arrivedBeforeMs: nowMs - HOUR_MS, maxBytes: 1 << 20 }, 100)).toBe(0);
  nowMs += HOUR_MS / 2 + 1;
  await until(() => log.baseSeq > 0);
  expect(offsets(log)).toEqual([4]);
  expect(log.floor("t")?.offsets).toEqual([4]);
});

function offsets(log: EventLog): number[] {
  return log
    .after(log.baseSeq, 100)
    .filter(({ kind }) => kind === "record")
    .map(({ offset }) => offset);
}
