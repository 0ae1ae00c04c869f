import { describe, expect, spyOn, test } from "bun:test";
import { appendRecords, settled, startAggregator } from "../../test/support/counting.ts";
import { EventLog } from "../log/event-log.ts";
import { createLogger } from "../logger.ts";
import {
  DashboardSections,
  MAX_SECTION_BYTES,
  MAX_SECTION_DEPTH,
  MAX_SECTION_NAME_BYTES,
  MAX_SECTIONS,
} from "./dashboard-sections.ts";

function makeSections(): { sections: DashboardSections; warnings: () => unknown[] } {
  const logger = createLogger("silent");
  const warn = spyOn(logger, "warn");
  return {
    sections: new DashboardSections(logger, "d"),
    warnings: () => warn.mock.calls.map(([first]) => first),
  };
}

function take(sections: DashboardSections, key: string | Uint8Array | null, value: string): void {
  sections.take({
    key: typeof key === "string" ? Buffer.from(key) : key,
    value: Buffer.from(value),
  });
}

test("the last record of each key is its section, and a tombstone removes it", () => {
  const { sections, warnings } = makeSections();
  take(sections, "orders", '{"open":1}');
  take(sections, "users", "[1,2]");
  take(sections, "orders", '{"open":2}');
  expect(sections.all()).toEqual({ orders: { open: 2 }, users: [1, 2] });
  sections.take({ key: Buffer.from("orders"), value: null });
  sections.take({ key: Buffer.from("never there"), value: null });
  expect(sections.all()).toEqual({ users: [1, 2] });
  expect(warnings()).toEqual([]);
});

describe("refused, said once, and without effect on the section that is there:", () => {
  const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

  test.each([
    ["no key", null, "1", "name"],
    ["an empty key", "", "1", "name"],
    ["a key that is no UTF-8", Buffer.from([0xff]), "1", "name"],
    ["a key with a control character", "a\nb", "1", "name"],
    ["a key that is too long", "k".repeat(MAX_SECTION_NAME_BYTES + 1), "1", "name"],
    ["a value that is too large", "a", `"${"x".repeat(MAX_SECTION_BYTES - 1)}"`, "too large"],
    ["a value that is no JSON", "a", "{", "not JSON"],
    ["a value that is too deep", "a", nested(MAX_SECTION_DEPTH + 1), "too deep"],
    ["a value so deep that it could not be written", "a", nested(30_000), "too deep"],
  ])("%s", (_, key, value, reason) => {
    const { sections, warnings } = makeSections();
    take(sections, "a", "1");
    take(sections, key, value);
    take(sections, key, value);
    expect(sections.all()).toEqual({ a: 1 });
    expect(warnings()).toEqual([{ reason }]);
  });
});

test("names that objects have by themselves are names like others", () => {
  const { sections, warnings } = makeSections();
  for (const name of ["__proto__", "constructor"]) take(sections, name, '{"a":1}');
  expect(Object.entries(sections.all())).toEqual([
    ["__proto__", { a: 1 }],
    ["constructor", { a: 1 }],
  ]);
  expect(warnings()).toEqual([]);
});

test("what just fits is taken", () => {
  const { sections, warnings } = makeSections();
  const name = "k".repeat(MAX_SECTION_NAME_BYTES);
  const large = "x".repeat(MAX_SECTION_BYTES - 2);
  take(sections, name, JSON.stringify(large));
  take(sections, "deep", `${"[".repeat(MAX_SECTION_DEPTH)}${"]".repeat(MAX_SECTION_DEPTH)}`);
  expect(sections.all()[name]).toBe(large);
  expect(sections.all()).toHaveProperty("deep");
  expect(warnings()).toEqual([]);
});

test("D11 ever new sections: the first ones stay, and go on being replaced", () => {
  const { sections, warnings } = makeSections();
  for (let i = 0; i < 10_000; i += 1) take(sections, `s-${i}`, "1");
  expect(Object.keys(sections.all()).length).toBe(MAX_SECTIONS);
  take(sections, "s-0", "2");
  sections.take({ key: Buffer.from("s-1"), value: null });
  take(sections, "new", "3");
  expect(sections.all()).toMatchObject({ "s-0": 2, new: 3 });
  expect(sections.all()).not.toHaveProperty("s-1");
  expect(warnings()).toEqual([{ reason: "too many" }]);
});

describe("an aggregator with a dashboard's topic", () => {
  test("has its sections again after a restart, when the log holds their records no more", async () => {
    using log = new EventLog({ path: ":memory:", durable: false });
    {
      using aggregator = startAggregator({ log, dashboardTopic: "d" });
      appendRecords(log, "d", { key: "a", data: 1 }, { key: "b", data: 2 }, { key: "c", data: 3 });
      await settled(log, aggregator);
      appendRecords(log, "d", { key: "b", data: null }, { key: "c", data: { x: [4] } });
      await settled(log, aggregator);
      expect((await aggregator.current()).windows["10s"].count).toBe(0);
    }
    log.trim({ arrivedBeforeMs: Number.MAX_SAFE_INTEGER, maxBytes: 0 }, 100);
    using aggregator = startAggregator({ log, dashboardTopic: "d" });
    expect(aggregator.sections()).toEqual({ a: 1, c: { x: [4] } });
    expect(aggregator.lag()).toBe(0);
  });

  test("counts its records too where it is served", async () => {
    using log = new EventLog({ path: ":memory:", durable: false });
    using aggregator = startAggregator({ log, topics: ["d"], dashboardTopic: "d" });
    appendRecords(log, "d", { key: "a", data: 1 });
    await settled(log, aggregator);
    expect(aggregator.sections()).toEqual({ a: 1 });
    expect((await aggregator.current()).windows["10s"].byTopic).toEqual({ d: 1 });
  });

  test("forgets the sections of another topic", async () => {
    using log = new EventLog({ path: ":memory:", durable: false });
    {
      using aggregator = startAggregator({ log, dashboardTopic: "d" });
      appendRecords(log, "d", { key: "a", data: 1 });
      await settled(log, aggregator);
    }
    {
      using aggregator = startAggregator({ log, dashboardTopic: "e" });
      expect(aggregator.sections()).toEqual({});
      appendRecords(log, "e", { key: "z", data: 9 });
      await settled(log, aggregator);
    }
    const names = log.kept.all().map(([name]) => name);
    expect(names.filter((name) => name.startsWith("section"))).toEqual(["section e z"]);
  });
});
