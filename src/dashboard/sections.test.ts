import { expect, test } from "bun:test";
import { joinSections, MAX_SECTIONS_BYTES } from "./sections.ts";

function parsed(members: readonly string[]): unknown {
  return JSON.parse(`{${members.join(",")}}`);
}

test("the application's section wins over the topic's of the same name", () => {
  const { members, faults } = joinSections({ a: 1, both: "app" }, { both: "topic", b: [2] });
  expect(parsed(members)).toEqual({ a: 1, both: "app", b: [2] });
  expect(members).toHaveLength(3);
  expect(faults).toEqual([]);
});

test("a section with a name of the dashboard's own is left out, and told", () => {
  const own = [
    "timestamp",
    "performance",
    "traffic",
    "aggregation",
    "memory",
    "errors",
    "metadata",
  ];
  const { members, faults } = joinSections(Object.fromEntries(own.map((name) => [name, 1])), {
    performance: 2,
    good: 3,
  });
  expect(parsed(members)).toEqual({ good: 3 });
  expect(faults).toEqual(
    own.map((name) => `section ${name} is left out: the dashboard has its own`),
  );
  const ofTopic = joinSections({}, Object.fromEntries(own.map((name) => [name, 1])));
  expect(ofTopic).toEqual({ members: [], faults });
});

test("names that objects have by themselves are names like others", () => {
  const topic: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}');
  const { members } = joinSections({}, { ...(topic as object) });
  expect(`{${members.join(",")}}`).toBe('{"__proto__":{"a":1},"constructor":2,"toString":3}');
});

test("for all sections together there is so much room, and the topic's last ones find none", () => {
  const third = "x".repeat(MAX_SECTIONS_BYTES / 3);
  const { members, faults } = joinSections({ a: third }, { b: third, c: third, d: 1 });
  expect(Object.keys(parsed(members) as object)).toEqual(["a", "b"]);
  expect(faults).toEqual(["2 sections are left out: all together may have 128 KiB"]);
});
