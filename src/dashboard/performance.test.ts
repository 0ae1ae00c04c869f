import { expect, test } from "bun:test";
import { observe, seconds } from "../../test/support/observations.ts";
import { Judge } from "./performance.ts";

test("a server of which nothing is wrong has 100 points, and no findings", () => {
  expect(new Judge().judge(observe([]))).toEqual({
    healthScore: 100,
    reasons: [],
    activeAnomalies: 0,
    activeAlerts: 0,
    anomalies: [],
    alerts: [],
    subsystems: {
      http: { status: "ok" },
      streams: { status: "ok" },
      log: { status: "ok" },
      feed: { status: "ok" },
      publisher: { status: "ok" },
      aggregation: { status: "ok" },
      dashboard: { status: "ok" },
    },
  });
});

test("each rule that holds takes its points, and what somebody must see to is an alert", () => {
  const seen = observe([{ gaps: 1, closed: { stalled: 1 } }], { degraded: ["kafka"] });
  const { healthScore, reasons, activeAlerts, alerts, subsystems } = new Judge().judge(seen);
  expect(healthScore).toBe(100 - 40 - 20 - 5);
  expect(reasons.map(({ rule, points }) => [rule, points])).toEqual([
    ["kafka-away", 40],
    ["records-lost", 20],
    ["streams-stalled", 5],
  ]);
  expect(alerts.map(({ rule }) => rule)).toEqual(["kafka-away", "records-lost"]);
  expect(activeAlerts).toBe(2);
  // The worst is said.
  expect(subsystems.feed).toEqual({ status: "down", message: "Kafka does not answer" });
  expect(subsystems.streams).toMatchObject({ status: "degraded" });
  expect(subsystems.log).toEqual({ status: "ok" });
});

test("the score never falls below 0", () => {
  const seen = observe([{ gaps: 1, skipped: 1 }], {
    isStopping: true,
    degraded: ["kafka", "disk"],
  });
  expect(new Judge().judge(seen).healthScore).toBe(0);
});

test("an anomaly takes no points", () => {
  const seen = observe([...seconds(120), { resets: 10 }]);
  expect(new Judge().judge(seen)).toMatchObject({
    healthScore: 100,
    activeAnomalies: 1,
    anomalies: [{ rule: "resets-burst", since: seen.nowMs }],
  });
});

test("without Kafka there is no feed", () => {
  const { source } = observe([]);
  const { subsystems } = new Judge().judge(
    observe([], { source: { ...source, mode: "embedded" } }),
  );
  expect(subsystems.feed).toEqual({ status: "off", message: "Without Kafka" });
});

test("a finding says since when it holds, and begins anew after it was over", () => {
  const judge = new Judge();
  const at = (nowMs: number, degraded: string[]): (readonly [string, number])[] =>
    judge.judge(observe([], { nowMs, degraded })).alerts.map(({ rule, since }) => [rule, since]);
  expect(at(1000, ["kafka"])).toEqual([["kafka-away", 1000]]);
  expect(at(2000, ["kafka", "disk"])).toEqual([
    ["kafka-away", 1000],
    ["disk", 2000],
  ]);
  expect(at(3000, ["disk"])).toEqual([["disk", 2000]]);
  expect(at(4000, ["kafka"])).toEqual([["kafka-away", 4000]]);
});

test("before there is a log, it and what counts it are down", () => {
  const { subsystems } = new Judge().judge(observe([], { aggregationLag: null }));
  const down = { status: "down", message: "There is no log before Kafka has answered" } as const;
  expect(subsystems).toMatchObject({ log: down, aggregation: down, http: { status: "ok" } });
});
