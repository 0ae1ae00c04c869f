import { expect, test } from "bun:test";
import { readingsOf, seconds } from "../../test/support/observations.ts";
import { createMetrics } from "../metrics.ts";
import { Past } from "./past.ts";
import { readCounters } from "./reading.ts";
import { samplesOf } from "./sampler.ts";

test("a sample is what happened in its second", () => {
  const readings = readingsOf([
    { arrived: 5, sent: 10, bytes: 100, connections: 3, latenciesMs: [5, 5] },
    {},
    { arrived: 1, connections: 2 },
  ]);
  const quiet = { sent: 0, bytes: 0, latencyP50: null, latencyP99: null };
  expect(samplesOf(readings)).toEqual([
    {
      timestamp: readings[1]?.timestamp ?? 0,
      arrived: 5,
      sent: 10,
      bytes: 100,
      connections: 3,
      latencyP50: 5,
      latencyP99: 9.9,
    },
    { ...quiet, timestamp: readings[2]?.timestamp ?? 0, arrived: 0, connections: 3 },
    { ...quiet, timestamp: readings[3]?.timestamp ?? 0, arrived: 1, connections: 2 },
  ]);
});

test("two minutes of samples are shown, the newest ones", () => {
  const samples = samplesOf(readingsOf([...seconds(50, { arrived: 1 }), ...seconds(120)]));
  expect(samples).toHaveLength(120);
  expect(samples.every(({ arrived }) => arrived === 0)).toBe(true);
});

test("of a server that has just started there is no sample, and no rate", () => {
  const readings = readingsOf([]);
  const [now] = readings;
  if (!now) throw new Error("No reading");
  expect(samplesOf(readings)).toEqual([]);
  expect(new Past([], now).perSecond(10_000, ({ arrived }) => arrived)).toBe(0);
});

test("rates are over the last ten seconds, or since the start where that is less", () => {
  const past = (readings: ReturnType<typeof readingsOf>): Past => {
    const now = readings.at(-1);
    if (!now) throw new Error("No reading");
    return new Past(readings, now);
  };
  const arrived = (readings: ReturnType<typeof readingsOf>): number =>
    past(readings).perSecond(10_000, (reading) => reading.arrived);
  expect(arrived(readingsOf([{ arrived: 100 }, ...seconds(9, { arrived: 10 })]))).toBe(19);
  expect(arrived(readingsOf([{ arrived: 100 }, ...seconds(10, { arrived: 10 })]))).toBe(10);
  expect(arrived(readingsOf([{ arrived: 100 }, {}]))).toBe(50);
});

test("a reading has the figures of /metrics", async () => {
  const metrics = createMetrics();
  metrics.recordsAppended.inc(3);
  metrics.eventsSent.inc(7);
  metrics.bytesSent.inc(700);
  metrics.published.inc({ result: "ok" }, 2);
  metrics.published.inc({ result: "timeout" });
  metrics.recordsSkipped.inc({ reason: "too-large" });
  metrics.recordsSkipped.inc({ reason: "undecodable" });
  metrics.resets.inc({ reason: "lost" }, 2);
  metrics.resets.inc({ reason: "lagged" });
  metrics.streamsClosed.inc({ reason: "stalled" }, 4);
  metrics.streamsShed.inc({ reason: "overloaded" }, 5);
  metrics.connectedClients.inc(6);
  metrics.stalls.inc();
  metrics.gaps.inc();
  metrics.deliveryLatency.observe(0.004);
  metrics.deliveryLatency.observe(1000);
  const { latency, ...reading } = await readCounters(metrics.registry, {
    timestamp: 1,
    atMs: 2,
    lag: 9,
  });
  expect(reading).toMatchObject({
    timestamp: 1,
    atMs: 2,
    arrived: 3,
    sent: 7,
    bytes: 700,
    published: { ok: 2, timeout: 1, failed: 0 },
    skipped: 2,
    gaps: 1,
    resets: 3,
    opened: 0,
    closed: { stalled: 4, client: 0 },
    shed: { overloaded: 5 },
    stalls: 1,
    connections: 6,
    lag: 9,
  });
  expect(latency.upToMs.at(-1)).toBe(Infinity);
  expect(latency.upToMs).toContain(5);
  expect(latency.counts[latency.upToMs.indexOf(5)]).toBe(1);
  expect(latency.counts.at(-1)).toBe(2);
});
