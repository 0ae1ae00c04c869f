import { expect, test } from "bun:test";
import { createLogger } from "../logger.ts";
import { ApplicationSections } from "./application-sections.ts";
import type { DashboardSource } from "./dashboard-data.ts";
import { MAX_SECTIONS_BYTES } from "./sections.ts";

interface Line {
  readonly msg: string;
  readonly fault?: string;
}

/** Sections of a source, and the lines that are logged of it. */
function sectionsOf(
  source: DashboardSource | undefined,
  deadlineMs = 10_000,
): { sections: ApplicationSections; lines: Line[] } {
  const lines: Line[] = [];
  const logger = createLogger("info", { write: (line) => lines.push(JSON.parse(line) as Line) });
  return { sections: new ApplicationSections({ source, deadlineMs, logger }), lines };
}

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;

/** What JavaScript lets an application return, whatever its types say. */
function untyped(value: unknown): DashboardSource {
  return () => value as ReturnType<DashboardSource>;
}

test("an application without a source has no sections, and nothing is wrong", async () => {
  const { sections, lines } = sectionsOf(undefined);
  await sections.refresh();
  expect([sections.sections, sections.fault, lines]).toEqual([{}, undefined, []]);
});

test("the sections are what JSON makes of what the source returned, as it was then", async () => {
  const shared = { total: 1 };
  const { sections } = sectionsOf(() => ({ a: shared, at: new Date(0), none: undefined }));
  await sections.refresh();
  shared.total = 2;
  expect(sections.sections).toEqual({ a: { total: 1 }, at: "1970-01-01T00:00:00.000Z" });
});

test.each([
  ["throws", () => Promise.reject(new Error("secret")), "threw"],
  [
    "throws at once",
    () => {
      throw new Error("secret");
    },
    "threw",
  ],
  ["returns nothing", untyped(undefined), "no-object"],
  ["returns null", untyped(null), "no-object"],
  ["returns a list", untyped([1]), "no-object"],
  ["returns text", untyped("a"), "no-object"],
  ["returns an instance", untyped(new Map([["a", 1]])), "no-object"],
  ["returns what becomes no object", untyped({ toJSON: () => 1 }), "no-object"],
  ["returns what becomes nothing", untyped({ toJSON: () => undefined }), "no-json"],
  ["returns a BigInt", untyped({ a: 1n }), "no-json"],
  ["returns a cycle", untyped({ cycle }), "no-json"],
  ["returns too much", untyped({ a: "x".repeat(MAX_SECTIONS_BYTES) }), "too-large"],
])("while the source %s, the last good sections stay", async (_, bad, fault) => {
  let source: DashboardSource = () => ({ good: 1 });
  const { sections, lines } = sectionsOf(() => source());
  await sections.refresh();
  expect(sections.fault).toBeUndefined();
  source = bad;
  for (let i = 0; i < 3; i += 1) {
    await sections.refresh();
    expect(sections.sections).toEqual({ good: 1 });
    expect(sections.fault).toStartWith("the application's data source has ");
  }
  // Once for the change, not for each update.
  expect(lines.map((line) => [line.msg, line.fault])).toEqual([["dashboard source failed", fault]]);
  source = () => ({ good: 2 });
  await sections.refresh();
  expect(sections.sections).toEqual({ good: 2 });
  expect(sections.fault).toBeUndefined();
  expect(lines.map(({ msg }) => msg).slice(1)).toEqual(["dashboard source answers again"]);
});

test("what is too large by one byte is refused, and what just fits is not", async () => {
  const overhead = '{"a":""}'.length;
  let length = MAX_SECTIONS_BYTES - overhead;
  const { sections } = sectionsOf(() => ({ a: "x".repeat(length) }));
  await sections.refresh();
  expect(sections.fault).toBeUndefined();
  length += 1;
  await sections.refresh();
  expect(sections.fault).toContain("128 KiB");
});

test("an object without a prototype, or of another realm, is an object too", async () => {
  const { sections } = sectionsOf(untyped(Object.assign(Object.create(null), { a: 1 })));
  await sections.refresh();
  expect(sections.sections).toEqual({ a: 1 });
});

test("a source that is late is waited for until the deadline, and not asked again meanwhile", async () => {
  const calls: ((value: object) => void)[] = [];
  const { sections, lines } = sectionsOf(
    () => new Promise((resolve) => void calls.push((value) => resolve({ ...value }))),
    20,
  );
  for (let i = 0; i < 3; i += 1) {
    const startedMs = performance.now();
    await sections.refresh();
    expect(performance.now() - startedMs).toBeWithin(15, 2000);
    expect(sections.fault).toBe("the application's data source does not answer in time");
  }
  expect(calls).toHaveLength(1);
  // What it answers at last is shown, but it was late all the same.
  const waiting = sections.refresh();
  calls[0]?.({ answer: 1 });
  await waiting;
  expect(sections.sections).toEqual({ answer: 1 });
  expect(sections.fault).toBe("the application's data source does not answer in time");
  const next = sections.refresh();
  expect(calls).toHaveLength(2);
  calls[1]?.({ answer: 2 });
  await next;
  expect([sections.sections, sections.fault]).toEqual([{ answer: 2 }, undefined]);
  expect(lines.map(({ msg }) => msg)).toEqual([
    "dashboard source failed",
    "dashboard source answers again",
  ]);
});

test("a source that throws after the deadline disturbs nobody", async () => {
  const call = Promise.withResolvers<never>();
  const { sections } = sectionsOf(() => call.promise, 5);
  await sections.refresh();
  call.reject(new Error("late"));
  await sections.refresh();
  expect(sections.fault).toContain("has thrown an error");
});
