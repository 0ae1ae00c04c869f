import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { RecordEntry, RecordHeader } from "./entry.ts";
import { EventLog } from "./event-log.ts";
import { markHeader, markTextOf } from "./idempotency.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

function marked(
  offset: number,
  { partition = 0, index = 0, count = 1, digest = "d" } = {},
): RecordEntry {
  return {
    kind: "record",
    topic: "t",
    partition,
    offset,
    timestampMs: 1,
    timestampType: "create",
    key: null,
    value: Buffer.from(`v${offset}`),
    headers: [["a", Buffer.from("b")], markHeader({ digest, index, count })],
  };
}

function openLog(): EventLog {
  const log = new EventLog({ path: ":memory:", durable: false });
  log.append([{ kind: "topic", topic: "t", tag: "a", offsets: [0, 0] }]);
  return log;
}

const valuesOf = (log: EventLog): string[] =>
  log
    .after(0, 100)
    .filter(({ kind }) => kind === "record")
    .map(({ value }) => Buffer.from(value ?? []).toString());

test("D8 of two records with one mark in a partition the log keeps the first, and passes the other", () => {
  using log = openLog();
  log.append([marked(0), marked(1)]);
  log.append([marked(2)]);
  expect(valuesOf(log)).toEqual(["v0"]);
  expect(log.topic("t")?.offsets).toEqual([3, 0]);
  expect(log.find("t", 0, 1)).toBeUndefined();
  expect(log.marked("d")).toMatchObject([{ partition: 0, offset: 0, index: 0, count: 1 }]);
});

test("D8 the events of one publish are told apart, and other partitions and incarnations are others", () => {
  using log = openLog();
  log.append([
    marked(0, { index: 0, count: 2 }),
    marked(1, { index: 1, count: 2 }),
    marked(0, { partition: 1, index: 0, count: 2 }),
  ]);
  expect(valuesOf(log)).toEqual(["v0", "v1", "v0"]);
  log.append([
    { kind: "topic", topic: "t", tag: "b", offsets: [0, 0] },
    marked(0, { index: 0, count: 2 }),
  ]);
  expect(valuesOf(log)).toEqual(["v0", "v1", "v0", "v0"]);
  expect(log.marked("d")).toMatchObject([{ tag: "b", offset: 0 }]);
});

test("D8 every log that reads the same partition drops the same records, however it reads them", () => {
  const records = [0, 1, 2, 3, 4, 5].map((offset) => marked(offset, { digest: `d${offset % 3}` }));
  using whole = openLog();
  using piecewise = openLog();
  whole.append(records);
  for (const record of records) piecewise.append([record]);
  piecewise.append(records);
  expect(valuesOf(whole)).toEqual(["v0", "v1", "v2"]);
  expect(valuesOf(piecewise)).toEqual(valuesOf(whole));
});

test.each([
  ["without a place", "digest"],
  ["with a place in words", "digest.one.two"],
  ["with a digest that is none", "di gest.0.1"],
  ["that is longer than ours can be", `${"d".repeat(65)}.0.1`],
  ["of ten thousand bytes", `${"d".repeat(10_000)}.0.1`],
  ["that is empty", ""],
])("a mark %s is no mark: whoever writes to the topic may write such headers", (_, text) => {
  const headers: RecordHeader[] = [["headgate-idempotency-key", Buffer.from(text)]];
  expect(markTextOf(headers)).toBeUndefined();
});

test("a log of the version before is brought up to date, and keeps what it holds", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "embedded.db");
  {
    using log = new EventLog({ path, durable: true });
    log.append([{ kind: "topic", topic: "t", tag: "a", offsets: [0, 0] }, marked(0)]);
  }
  const old = new Database(path);
  // The first log's checkpointer may still be ending in its thread.
  old.run("PRAGMA busy_timeout = 2000");
  old.run("DROP INDEX entries_mark");
  old.run("ALTER TABLE entries DROP COLUMN mark");
  old.run("PRAGMA user_version = 1");
  old.close();
  using log = new EventLog({ path, durable: true });
  expect(valuesOf(log)).toEqual(["v0"]);
  log.append([marked(1, { digest: "e" }), marked(2, { digest: "e" })]);
  expect(valuesOf(log)).toEqual(["v0", "v1"]);
});
