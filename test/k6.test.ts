import { describe, expect, mock, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  optionsFor,
  planFrom,
  readSettings,
  runStream,
  THRESHOLDS,
} from "../loadtest/k6/stream-test.ts";
import type { K6, MetricName, SseClient, SseEvent } from "../loadtest/k6/stream-test.ts";
import { formatRows, summaryRows } from "../loadtest/k6/summary.ts";
import { startLocalServer } from "./support/server.ts";
import type { LocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const README = readFileSync(join(import.meta.dir, "../loadtest/k6/README.md"), "utf8");
const SETTINGS = readSettings({
  STREAMS: "10",
  RAMP_S: "2",
  HOLD_S: "3",
  TARGET: "http://x/events",
});
const START_MS = 1_000_000;
const PLAN = planFrom(START_MS, SETTINGS);

describe("the k6 load test", () => {
  test("counts a stream of a real server as connected, and times it from its open", async () => {
    await using server = await startLocalServer();
    const events = await eventsOf(server);
    const { k6, samples, calls } = standIn(200, [{ afterMs: 40, open: true }, ...later(events, 7)]);
    runStream(k6, SETTINGS, PLAN);
    expect(events.map(({ name }) => name)).toEqual(["connection", "live"]);
    expect(samples).toMatchObject({ stream_connected: [true], stream_errors: [] });
    expect(samples.stream_response_ms).toEqual([40]);
    expect(samples.stream_first_event_ms).toEqual([7]);
    expect(samples.stream_events).toEqual([1, 1, 1]);
    expect(calls.checks).toEqual([true]);
  });

  test("closes a stream at the first event after its planned end, and opens no other", () => {
    const { k6, samples, calls } = standIn(200, [
      { afterMs: 1, open: true },
      { afterMs: 1, event: { name: "connection", data: "{}" } },
      { afterMs: 6_000, event: { name: "heartbeat", data: "" } },
      { afterMs: 1, error: "closed" },
    ]);
    runStream(k6, SETTINGS, PLAN);
    runStream(k6, SETTINGS, PLAN);
    expect(calls).toMatchObject({ opened: 1, closed: 1 });
    expect(samples.stream_errors).toEqual([]);
  });

  test("an error closes the client, which would else wait for ever, and counts once", () => {
    const { k6, samples, calls } = standIn(200, [
      { afterMs: 1, open: true },
      { afterMs: 1, event: { name: "connection", data: "{}" } },
      { afterMs: 500, error: "reset by peer" },
      { afterMs: 1, error: "again" },
    ]);
    runStream(k6, SETTINGS, PLAN);
    expect(calls).toMatchObject({ opened: 1, closed: 1 });
    expect(samples).toMatchObject({ stream_connected: [true], stream_errors: [1] });
    // What is left of the test it sleeps away, so that k6 does not begin another stream.
    expect(calls.sleptS).toEqual([5 - 0.503]);
  });

  test("a 503 is a connection error, though k6 says that it is open", () => {
    const { k6, samples, calls } = standIn(503, [
      { afterMs: 3, open: true },
      { afterMs: 0, error: "unknown event" },
    ]);
    runStream(k6, SETTINGS, PLAN);
    expect(calls).toMatchObject({ closed: 1, checks: [false] });
    expect(samples).toMatchObject({
      stream_connected: [false],
      stream_errors: [1],
      stream_response_ms: [3],
      stream_first_event_ms: [],
    });
  });

  test("so is a server that is not there", () => {
    const { k6, samples, calls } = standIn(0, []);
    runStream(k6, SETTINGS, PLAN);
    expect(calls).toMatchObject({ closed: 0, checks: [false] });
    expect(samples).toMatchObject({ stream_connected: [false], stream_errors: [1] });
    expect(samples.stream_response_ms).toEqual([]);
  });

  test("and a server that turns streams away with an event", async () => {
    await using server = await startLocalServer({ SSE_MAX_CONNECTIONS: "1" });
    await using _first = await TestSubscriber.live(server.url);
    const events = await eventsOf(server);
    expect(events.map(({ name }) => name)).toEqual(["close"]);
    // The lone `retry:` before it reaches k6 as an event without anything.
    const all = [{ name: "", data: "" }, ...events];
    const { k6, samples, calls } = standIn(200, [{ afterMs: 1, open: true }, ...later(all, 2)]);
    runStream(k6, SETTINGS, PLAN);
    expect(samples).toMatchObject({ stream_connected: [false], stream_errors: [1] });
    expect(calls.closed).toBe(1);
  });

  test("a stream that the server ends early is an error, and yet was connected", () => {
    const { k6, samples } = standIn(200, [
      { afterMs: 1, open: true },
      { afterMs: 1, event: { name: "connection", data: "{}" } },
    ]);
    runStream(k6, SETTINGS, PLAN);
    expect(samples).toMatchObject({ stream_connected: [true], stream_errors: [1] });
  });

  test("the token travels in the header, and nowhere without one", () => {
    const withToken = standIn(200, []);
    runStream(withToken.k6, { ...SETTINGS, token: "secret" }, PLAN);
    expect(withToken.calls.headers).toEqual([{ Authorization: "Bearer secret" }]);
    const without = standIn(200, []);
    runStream(without.k6, SETTINGS, PLAN);
    expect(without.calls.headers).toEqual([{}]);
  });

  test("has the stages and thresholds that are documented", () => {
    expect(optionsFor(SETTINGS)).toMatchObject({
      scenarios: {
        streams: {
          executor: "ramping-vus",
          exec: "stream",
          stages: [
            { duration: "2s", target: 10 },
            { duration: "3s", target: 10 },
          ],
        },
      },
      thresholds: {
        stream_connected: ["rate>0.95"],
        stream_errors: ["count<500"],
        stream_response_ms: ["p(95)<5000"],
        stream_first_event_ms: ["p(95)<3000"],
      },
    });
    for (const [name, limit] of Object.entries(THRESHOLDS)) {
      expect(README).toContain(`| \`${name}\` | \`${limit}\` |`);
    }
  });

  test("has the defaults that are documented, and refuses what is no number or address", () => {
    const { target, streams, rampS, holdS, token } = readSettings({ TOKEN: "", STREAMS: "" });
    expect(token).toBeUndefined();
    const defaults = { TARGET: target, STREAMS: streams, RAMP_S: rampS, HOLD_S: holdS };
    for (const [name, value] of Object.entries(defaults)) {
      expect(README).toMatch(new RegExp(`\\| \`${name}\` \\|.*\\| \`?${value}\`? \\|`));
    }
    expect(() => readSettings({ STREAMS: "many" })).toThrow("STREAMS=many");
    expect(() => readSettings({ HOLD_S: "0" })).toThrow("HOLD_S=0");
    expect(() => readSettings({ TARGET: "localhost:3000" })).toThrow("TARGET=localhost:3000");
  });

  test("sums up with what was asserted, and whether it held", () => {
    const rows = summaryRows({
      metrics: {
        stream_connected: { values: { rate: 0.9 }, thresholds: { "rate>0.95": { ok: false } } },
        stream_response_ms: {
          values: { "p(95)": 12.3456 },
          thresholds: { "p(95)<5000": { ok: true } },
        },
        stream_events: { values: { count: 42 } },
      },
    });
    expect(rows[0]).toEqual({
      what: "streams that connected",
      value: 0.9,
      unit: "of 1",
      threshold: "rate>0.95",
      ok: false,
    });
    const text = formatRows(rows);
    expect(text).toMatch(/streams that connected +0\.900 of 1 {2}FAILED {2}rate>0\.95\n/);
    expect(text).toMatch(/response begins, p95 +12\.346 ms {2}ok {2}p\(95\)<5000\n/);
    expect(text).toMatch(/events read +42\n/);
  });
});

test("the script for k6 wires k6's parts, and its summary holds no token", async () => {
  const names: string[] = [];
  class MetricStandIn {
    readonly name: string;
    constructor(name: string) {
      this.name = name;
      names.push(name);
    }
  }
  const { k6 } = standIn(200, []);
  await mock.module("k6", () => ({ check: k6.check, sleep: k6.sleep }));
  await mock.module("k6/metrics", () => ({
    Counter: MetricStandIn,
    Rate: MetricStandIn,
    Trend: MetricStandIn,
  }));
  await mock.module("k6/x/sse", () => ({ default: k6.sse }));
  Object.assign(globalThis, { __ENV: { STREAMS: "7", TOKEN: "secret", SUMMARY: "out.json" } });
  const script = await import("../loadtest/k6/events.ts");
  expect(names.toSorted()).toEqual([...Object.keys(THRESHOLDS), "stream_events"].toSorted());
  expect(script.options).toEqual(optionsFor(readSettings({ STREAMS: "7" })));
  expect(typeof script.stream).toBe("function");
  expect(script.setup().endMs).toBeGreaterThan(Date.now());
  const files = script.handleSummary({ metrics: {} });
  expect(Object.keys(files)).toEqual(["stdout", "out.json"]);
  expect(files["out.json"]).not.toContain("secret");
  expect(JSON.parse(files["out.json"] ?? "")).toMatchObject({ settings: { streams: 7 } });
});

/** What happens on a stream, one after another, each so long after the one before. */
interface Step {
  readonly afterMs: number;
  readonly open?: true;
  readonly event?: SseEvent;
  readonly error?: string;
}

/** Events that come so long after one another, and at last one after the test's end. */
function later(events: readonly SseEvent[], afterMs: number): readonly Step[] {
  const steps = events.map((event): Step => ({ afterMs, event }));
  return [...steps, { afterMs: 10_000, event: { name: "heartbeat", data: "" } }];
}

/** What a new subscriber of the server reads at first, by a parser that is not ours. */
async function eventsOf({ url }: LocalServer): Promise<readonly SseEvent[]> {
  const accept = { Accept: "text/event-stream" };
  await using subscriber = await TestSubscriber.open(url, "/events", { headers: accept });
  await subscriber.until(() => subscriber.isEnded || subscriber.named("live").length > 0);
  return subscriber.events.map(({ event, data }) => ({ name: event, data }));
}

/**
 * k6 with the extension, as its documentation has it: `open` blocks until the stream ends or is closed, an
 * error ends nothing, and time passes with the steps only.
 */
function standIn(
  status: number,
  steps: readonly Step[],
): {
  k6: K6;
  samples: Record<MetricName, (number | boolean)[]>;
  calls: { opened: number; closed: number; checks: boolean[]; sleptS: number[]; headers: object[] };
} {
  const samples: Record<MetricName, (number | boolean)[]> = {
    stream_connected: [],
    stream_errors: [],
    stream_response_ms: [],
    stream_first_event_ms: [],
    stream_events: [],
  };
  const calls = {
    opened: 0,
    closed: 0,
    checks: [] as boolean[],
    sleptS: [] as number[],
    headers: [] as object[],
  };
  let nowMs = START_MS;
  const metric = (name: MetricName): { add: (value: number | boolean) => void } => ({
    add: (value) => samples[name].push(value),
  });
  const k6: K6 = {
    sse: {
      open: (_url, { headers }, setup) => {
        calls.opened += 1;
        calls.headers.push(headers);
        if (status === 0) return { status, error: "connection refused" };
        const handlers = new Map<string, (argument?: unknown) => void>();
        let isClosed = false;
        const client: SseClient = {
          // The cast holds: what `play` calls a handler with is what its name stands for.
          on: (name: string, handler: unknown) =>
            handlers.set(name, handler as (argument?: unknown) => void),
          close: () => {
            calls.closed += 1;
            isClosed = true;
          },
        };
        setup(client);
        for (const { afterMs, open, event, error } of steps) {
          // The extension may still report what its closing broke.
          if (isClosed && error === undefined) break;
          nowMs += afterMs;
          if (open) handlers.get("open")?.();
          if (event) handlers.get("event")?.(event);
          if (error !== undefined) handlers.get("error")?.(error);
        }
        return { status, error: "" };
      },
    },
    metrics: {
      stream_connected: metric("stream_connected"),
      stream_errors: metric("stream_errors"),
      stream_response_ms: metric("stream_response_ms"),
      stream_first_event_ms: metric("stream_first_event_ms"),
      stream_events: metric("stream_events"),
    },
    check: (response, checks) => {
      for (const isTrue of Object.values(checks)) calls.checks.push(isTrue(response));
    },
    sleep: (seconds) => {
      calls.sleptS.push(seconds);
      nowMs += seconds * 1_000;
    },
    now: () => nowMs,
  };
  return { k6, samples, calls };
}
