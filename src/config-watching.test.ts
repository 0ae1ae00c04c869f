import { describe, expect, test } from "bun:test";
import { parseConfig } from "./config.ts";

describe("what is watched", () => {
  test("the dashboard's topic is read beside those that are served", () => {
    const { topics, heldTopics } = parseConfig({ SSE_DASHBOARD_TOPIC: "sections" });
    expect({ topics, heldTopics }).toEqual({
      topics: ["events"],
      heldTopics: ["events", "sections"],
    });
    expect(parseConfig({ SSE_DASHBOARD_TOPIC: "events" }).heldTopics).toEqual(["events"]);
    expect(() => parseConfig({ SSE_DASHBOARD_TOPIC: "a,b" })).toThrow("SSE_DASHBOARD_TOPIC");
  });

  test("paths of numbers are names with dots between them, sixteen at most", () => {
    const { fields } = parseConfig({ AGGREGATE_FIELDS: "payload.times, a.0.b" }).watching;
    expect(fields).toEqual(["payload.times", "a.0.b"]);
    const many = Array.from({ length: 17 }, (_, i) => `f${i}`).join(",");
    expect(() => parseConfig({ AGGREGATE_FIELDS: many })).toThrow("at most 16");
    for (const bad of ["a..b", "$[0]", "a b", "a,a", "a.b.c.d.e.f.g.h.i"]) {
      expect(() => parseConfig({ AGGREGATE_FIELDS: bad })).toThrow("AGGREGATE_FIELDS");
    }
  });

  test("an update more often than ten times a second is refused", () => {
    expect(() => parseConfig({ SSE_UPDATE_INTERVAL: "99" })).toThrow("SSE_UPDATE_INTERVAL");
  });
});
