import { expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import {
  AT_ONCE,
  appendRecords,
  HOUR,
  recordAt,
  savedSeq,
  settled,
  startAggregator,
} from "../../test/support/counting.ts";
import { isQuick } from "../../test/support/effort.ts";
import { until } from "../../test/support/feed.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { EventLog } from "../log/event-log.ts";
import { markHeader } from "../log/idempotency.ts";
import { createLogger } from "../logger.ts";

const now = (): number => HOUR;

function memoryLog(): EventLog {
  return new EventLog({ path: ":memory:", durable: false, now });
}

test("records are counted by topic and by the type that subscribers see, and numbers are summed up", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now, topics: ["t", "u"], fields: ["a.b", "none"] });
  appendRecords(
    log,
    "t",
    { type: "order", data: { a: { b: 2 } } },
    { type: "order", data: { a: { b: 4 } } },
    { data: "text" },
    { type: "connection", data: "a reserved name is left out" },
    { type: "order", data: null },
    { data: Buffer.from([0xff]) },
  );
  appendRecords(log, "u", { type: "order" });
  appendRecords(log, "not served", { type: "order" });
  log.append([{ kind: "advance", topic: "t", partition: 0, next: 10 }]);
  await settled(log, aggregator);
  const { windows, since, late, future } = await aggregator.current();
  expect([since, late, future]).toEqual([HOUR, 0, 0]);
  const { count, byTopic, byType, fields, truncated } = windows["1m"];
  expect({ count, byTopic, byType, truncated }).toEqual({
    count: 7,
    byTopic: { t: 6, u: 1 },
    byType: { order: 3, message: 2, delete: 1, binary: 1 },
    truncated: false,
  });
  expect(Object.keys(fields)).toEqual(["a.b"]);
  expect(fields["a.b"]).toMatchObject({ count: 2, min: 2, max: 4, mean: 3 });
});

test("types that are called like members of every object are counted as any other", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now });
  appendRecords(log, "t", { type: "__proto__" }, { type: "constructor" }, { type: "__proto__" });
  await settled(log, aggregator);
  const { byType, ratesByType } = (await aggregator.current()).windows["10s"];
  expect(JSON.stringify(byType)).toBe('{"__proto__":2,"constructor":1}');
  expect(JSON.stringify(ratesByType)).toBe('{"__proto__":0.2,"constructor":0.1}');
});

test("D11 a type that is too long is counted under no name", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now });
  appendRecords(log, "t", { type: "x".repeat(128) }, { type: "x".repeat(129) }, { type: "y" });
  await settled(log, aggregator);
  const { byType, truncated } = (await aggregator.current()).windows["10s"];
  expect(byType).toEqual({ ["x".repeat(128)]: 1, y: 1, other: 1 });
  expect(truncated).toBe(true);
});

test("D11 more types and keys than are held: the answer stays small, says so, and adds up", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now });
  const batches = isQuick ? 10 : 40;
  for (let i = 0; i < batches; i += 1) {
    const hostile = Array.from({ length: 500 }, (_, j) => ({
      type: j % 10 === 0 ? "frequent" : `type-${i}-${j}`,
      key: `key-${i}-${j}`,
    }));
    appendRecords(log, "t", ...hostile);
  }
  await settled(log, aggregator);
  const kept = log.kept.all().reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  expect(kept).toBeLessThan(4 * 1_000 * 40);
  for (const { count, byType, truncated } of Object.values((await aggregator.current()).windows)) {
    expect([count, truncated]).toEqual([batches * 500, true]);
    expect(Object.keys(byType).length).toBeLessThanOrEqual(1_001);
    expect(Object.values(byType).reduce((sum, each) => sum + each)).toBe(count);
    expect(byType["frequent"]).toBeLessThanOrEqual(batches * 50);
    expect(byType["frequent"]).toBeGreaterThan(batches * 50 - count / 1_001);
  }
});

test("D8 a publish that is repeated under its mark is counted once", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now });
  const headers = [markHeader({ digest: "d", index: 0, count: 1 })];
  log.append([
    { kind: "topic", topic: "t", tag: "a", offsets: [0] },
    { ...recordAt("t", 0), headers },
    { ...recordAt("t", 1), headers },
  ]);
  await settled(log, aggregator);
  expect((await aggregator.current()).windows["10s"].count).toBe(1);
});

test("after an abrupt end the figures go on from what was saved, and only what came later is read", async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  const fields = ["n"];
  const batch = (from: number): object[] =>
    Array.from({ length: 700 }, (_, i) => ({ type: `type-${i % 5}`, data: { n: from + i } }));
  using first = new EventLog({ path, durable: true, now });
  // Never disposed of while the second one runs: it does not see the end coming.
  using dead = startAggregator({ log: first, now, fields, saveMs: 3_600_000 });
  appendRecords(first, "t", ...batch(0));
  await until(() => savedSeq(first) > 0);
  appendRecords(first, "t", ...batch(700));
  await until(() => dead.lag() === 0);
  const saved = savedSeq(first);
  expect(saved).toBeLessThanOrEqual(701);

  using log = new EventLog({ path, durable: true, now });
  const after = spyOn(log, "after");
  using aggregator = startAggregator({ log, now, fields });
  await settled(log, aggregator);
  const { windows, since } = await aggregator.current();
  expect({ windows, since }).toEqual({ windows: (await dead.current()).windows, since: HOUR });
  expect(windows["1h"].count).toBe(1_400);
  expect(after.mock.calls[0]?.[0]).toBe(saved);
  const pages = after.mock.results.map(({ value }) => (Array.isArray(value) ? value.length : 0));
  expect(pages.reduce((sum, entries) => sum + entries, 0)).toBe(log.headSeq - saved);
});

test("what is disposed of has saved everything", async () => {
  using log = memoryLog();
  {
    using aggregator = startAggregator({ log, now, saveMs: 3_600_000 });
    appendRecords(log, "t", {});
    await settled(log, aggregator);
    appendRecords(log, "t", {}, {});
    await until(() => aggregator.lag() === 0);
  }
  expect(savedSeq(log)).toBe(4);
  const after = spyOn(log, "after");
  using aggregator = startAggregator({ log, now });
  expect(aggregator.lag()).toBe(0);
  expect((await aggregator.current()).windows["10s"].count).toBe(3);
  expect(after).not.toHaveBeenCalled();
});

test("a save stores the steps that have changed, and no others", async () => {
  let time = HOUR;
  using log = new EventLog({ path: ":memory:", durable: false, now: () => time });
  using aggregator = startAggregator({ log, now: () => time });
  appendRecords(log, "t", {});
  await settled(log, aggregator);
  const write = spyOn(log.kept, "write");
  time += 1_000;
  appendRecords(log, "t", {});
  await settled(log, aggregator);
  const names = write.mock.calls.flatMap(([changes]) => [...changes].map(([name]) => name));
  expect(names).toEqual([
    "position",
    `step 10s ${(HOUR / 10_000) * 60 + 6}`,
    `step 1m ${HOUR / 1_000 + 1}`,
    `step 5m ${HOUR / 5_000}`,
    `step 1h ${HOUR / 60_000}`,
  ]);
});

test("what the log held before is counted, and all of it since its first entry", async () => {
  let time = HOUR;
  using log = new EventLog({ path: ":memory:", durable: false, now: () => time });
  appendRecords(log, "t", {}, {});
  time += 1_000;
  appendRecords(log, "t", {});
  time += 60_000;
  using aggregator = startAggregator({ log, now: () => time });
  await settled(log, aggregator);
  const { since, windows } = await aggregator.current();
  expect([since, windows["1m"].count, windows["1h"].count]).toEqual([HOUR, 0, 3]);
});

test("one step of a turn looks into so many bytes only, and takes so many entries", async () => {
  using log = memoryLog();
  const work: (() => boolean)[] = [];
  const turns = { run: AT_ONCE.run, add: (step: () => boolean) => void work.push(step) };
  using aggregator = startAggregator({ log, now, turns, fields: ["n"] });
  const large = JSON.stringify({ n: 1, padding: "x".repeat(50_000) });
  appendRecords(log, "t", ...Array.from({ length: 9 }, () => ({ data: large })));
  appendRecords(log, "t", ...Array.from({ length: 600 }, () => ({})));
  await until(() => work.length > 0);
  const lags = [aggregator.lag()];
  while (work[0]?.()) lags.push(aggregator.lag());
  const counted = lags.map((lag, i) => (lags[i - 1] ?? lag) - lag).filter((each) => each > 0);
  // The topic's own entry and three large records, three more, and three; then the small ones.
  expect(counted).toEqual([4, 3, 3, 500, 100]);
  expect((await aggregator.current()).windows["10s"].fields["n"]?.count).toBe(9);
});

test("nothing is saved where nothing has come", async () => {
  using log = memoryLog();
  using aggregator = startAggregator({ log, now });
  appendRecords(log, "t", {});
  await settled(log, aggregator);
  const write = spyOn(log.kept, "write");
  aggregator[Symbol.dispose]();
  expect(write).not.toHaveBeenCalled();
});

test.each([
  ["is no JSON", "{"],
  ["lacks what belongs to it", "{}"],
  ["is of another version", '{"format":2,"seq":1,"arrivedMs":0,"sinceMs":0,"late":0,"future":0}'],
  ["is ahead of the log", '{"format":1,"seq":99,"arrivedMs":0,"sinceMs":0,"late":0,"future":0}'],
])("a stored position that %s is said, and all of the log is counted again", async (_, text) => {
  using log = memoryLog();
  appendRecords(log, "t", {}, { type: "x" });
  log.kept.write([
    ["position", text],
    ["step 1h 500000000", "left behind"],
  ]);
  const logger = createLogger("silent");
  const error = spyOn(logger, "error");
  using aggregator = startAggregator({ log, now, logger });
  await settled(log, aggregator);
  expect((await aggregator.current()).windows["1h"].byType).toEqual({ message: 1, x: 1 });
  expect(error).toHaveBeenCalledTimes(1);
  expect(log.kept.all().map(([name]) => name)).not.toContain("step 1h 500000000");
});

test("a stored step that is damaged is said, and all of the log is counted again", async () => {
  using log = memoryLog();
  {
    using aggregator = startAggregator({ log, now });
    appendRecords(log, "t", {}, { type: "x" });
    await settled(log, aggregator);
  }
  const name = log.kept.all().find(([each]) => each.startsWith("step 1h"))?.[0] ?? "";
  log.kept.write([[name, '{"count":-1}']]);
  const logger = createLogger("silent");
  const error = spyOn(logger, "error");
  using aggregator = startAggregator({ log, now, logger });
  await settled(log, aggregator);
  expect((await aggregator.current()).windows["1h"].count).toBe(2);
  expect(error).toHaveBeenCalledTimes(1);
});

test("what retention removed before it was counted is said once, and tells from when on all is counted", async () => {
  let time = HOUR;
  using log = new EventLog({ path: ":memory:", durable: false, now: () => time });
  const logger = createLogger("silent");
  const warn = spyOn(logger, "warn");
  const work: (() => boolean)[] = [];
  const turns = { run: AT_ONCE.run, add: (step: () => boolean) => void work.push(step) };
  using aggregator = startAggregator({ log, now: () => time, logger, turns });
  const finish = async (): Promise<void> => {
    await until(() => work.length > 0);
    for (const step of work.splice(0)) while (step());
  };
  appendRecords(log, "t", {});
  await finish();
  expect(await aggregator.current()).toMatchObject({
    since: HOUR,
    windows: { "10s": { count: 1 } },
  });
  for (let i = 1; i <= 3; i += 1) {
    time = HOUR + i * 1_000;
    appendRecords(log, "t", {}, {});
    log.trim({ arrivedBeforeMs: time, maxBytes: 1 << 30 }, 100);
    time += 500;
    appendRecords(log, "t", {});
    log.trim({ arrivedBeforeMs: time, maxBytes: 1 << 30 }, 100);
    expect(aggregator.lag()).toBe(1);
    await finish();
    expect((await aggregator.current()).since).toBe(time);
    expect((await aggregator.current()).windows["10s"].count).toBe(1 + i);
  }
  expect(warn).toHaveBeenCalledTimes(1);
});

test("a save that fails is said once and tried again, while counting goes on", async () => {
  using log = memoryLog();
  const logger = createLogger("silent");
  const error = spyOn(logger, "error");
  const write = spyOn(log.kept, "write").mockImplementation(() => {
    throw new Error("disk full");
  });
  using aggregator = startAggregator({ log, now, logger });
  appendRecords(log, "t", {});
  await until(() => write.mock.calls.length >= 3);
  appendRecords(log, "t", {});
  await until(() => aggregator.lag() === 0);
  expect((await aggregator.current()).windows["10s"].count).toBe(2);
  expect(error).toHaveBeenCalledTimes(1);
  write.mockRestore();
  await settled(log, aggregator);
});

test("a log that cannot be read is said once and tried again", async () => {
  using log = memoryLog();
  const logger = createLogger("silent");
  const error = spyOn(logger, "error");
  const after = spyOn(log, "after").mockImplementation(() => {
    throw new Error("no disk");
  });
  using aggregator = startAggregator({ log, now, logger });
  appendRecords(log, "t", {});
  await until(() => after.mock.calls.length >= 3);
  expect(error).toHaveBeenCalledTimes(1);
  after.mockRestore();
  await settled(log, aggregator);
  expect((await aggregator.current()).windows["10s"].count).toBe(1);
});

test("after a restart with other fields and topics, what still applies goes on", async () => {
  using log = memoryLog();
  {
    using aggregator = startAggregator({ log, now, topics: ["t", "u"], fields: ["a", "b"] });
    appendRecords(log, "t", { data: { a: 1, b: 2, c: 3 } });
    appendRecords(log, "u", {});
    await settled(log, aggregator);
  }
  using aggregator = startAggregator({ log, now, topics: ["t", "v"], fields: ["b", "c"] });
  appendRecords(log, "t", { data: { a: 1, b: 4, c: 5 } });
  appendRecords(log, "u", {});
  appendRecords(log, "v", {});
  await settled(log, aggregator);
  const { count, byTopic, fields } = (await aggregator.current()).windows["10s"];
  expect({ count, byTopic }).toEqual({ count: 4, byTopic: { t: 2, u: 1, v: 1 } });
  expect(Object.keys(fields).toSorted()).toEqual(["b", "c"]);
  expect([fields["b"]?.mean, fields["c"]?.mean]).toEqual([3, 5]);
});

test("a window is told again while nothing changes, until its next step", async () => {
  let time = HOUR;
  using log = new EventLog({ path: ":memory:", durable: false, now: () => time });
  using aggregator = startAggregator({ log, now: () => time });
  appendRecords(log, "t", {});
  await settled(log, aggregator);
  const { windows } = await aggregator.current();
  time += 166;
  expect((await aggregator.current()).windows["10s"]).toBe(windows["10s"]);
  time += 1;
  expect((await aggregator.current()).windows["10s"]).not.toBe(windows["10s"]);
  expect((await aggregator.current()).windows["1m"]).toBe(windows["1m"]);
  expect(await aggregator.current()).toMatchObject({ updatedAt: time, windows });
  time = HOUR + 10_000;
  expect((await aggregator.current()).windows["10s"].count).toBe(0);
});
