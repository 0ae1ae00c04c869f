import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import type { DashboardSource } from "../src/dashboard/dashboard-data.ts";
import { SCHEMAS } from "../src/http/operations/schemas.ts";
import { createHeadgate, type Headgate } from "../src/headgate.ts";
import type { HeadgateOptions } from "../src/options.ts";
import { until } from "./support/feed.ts";
import { RawPeer } from "./support/peers.ts";
import { metric } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(20_000);

const STREAM = "/stream/dashboard";

const running = new Set<Headgate>();

afterEach(async () => {
  await Promise.all([...running].map((headgate) => headgate.stop()));
  running.clear();
});

async function started(options: HeadgateOptions = {}): Promise<Headgate> {
  const headgate = createHeadgate({
    port: 0,
    dataDir: ":memory:",
    logLevel: "silent",
    shutdownGraceMs: 0,
    updateIntervalMs: 100,
    ...options,
  });
  running.add(headgate);
  await headgate.start();
  await headgate.ready;
  return headgate;
}

/** The data of the updates that came so far. */
function updatesOf(subscriber: TestSubscriber | RawPeer["stream"]): Record<string, unknown>[] {
  return subscriber
    .named("dashboard-update")
    .map(({ data }) => JSON.parse(data) as Record<string, unknown>);
}

test("an application starts a dashboard with its own sections, which come with every update", async () => {
  let totalLearnings = 0;
  const headgate = createHeadgate({
    port: 0,
    corsOrigin: "https://app.example",
    updateIntervalMs: 100,
    sanitizeData: true,
    enableLogging: false,
    environment: { DATA_DIR: ":memory:", SHUTDOWN_GRACE: "1000" },
    dashboard: async () => {
      totalLearnings += 1;
      return Promise.resolve({ intelligence: { totalLearnings, avgSynergy: 0.5 } });
    },
  });
  running.add(headgate);
  await headgate.start();
  await using subscriber = await TestSubscriber.open(headgate.url, STREAM, {
    headers: { Origin: "https://app.example" },
  });
  await subscriber.until(() => subscriber.named("dashboard-update").length === 3);
  const { headers } = subscriber.response;
  expect(headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
  expect(headers.get("cache-control")).toBe("no-cache, no-transform");
  expect(headers.get("x-accel-buffering")).toBe("no");
  expect(headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect(subscriber.named("dashboard-update").map(({ id }) => id)).toEqual(["1", "2", "3"]);
  expect(updatesOf(subscriber).map(({ intelligence }) => intelligence)).toEqual([
    { totalLearnings: 1, avgSynergy: 0.5 },
    { totalLearnings: 2, avgSynergy: 0.5 },
    { totalLearnings: 3, avgSynergy: 0.5 },
  ]);
  expect(updatesOf(subscriber)[0]).toMatchObject({
    performance: { healthScore: 100, activeAnomalies: 0, activeAlerts: 0 },
    traffic: { connections: { open: 1, byState: { dashboard: 1 } } },
    metadata: { mode: "embedded", updateIntervalMs: 100, sanitized: true },
  });
  await headgate.stop();
  await subscriber.ended();
  expect(subscriber.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
  expect(subscriber.retries).toHaveLength(2);
  expect(subscriber.oddities).toEqual([]);
});

test("the stream is as OpenAPI describes it", async () => {
  const { url } = await started({ heartbeatMs: 30 });
  await using subscriber = await TestSubscriber.open(url, STREAM);
  await subscriber.until(() => subscriber.events.length > 5);
  for (const { event, data, id } of subscriber.events) {
    SCHEMAS.DashboardItem.parse(event === "heartbeat" ? { event, data } : { event, data, id });
  }
  expect(subscriber.named("heartbeat").length).toBeGreaterThan(0);
});

test("retry comes first, the update at once, and then one each interval", async () => {
  const { url } = await started({ updateIntervalMs: 200, retryMs: 1000 });
  const port = Number(new URL(url).port);
  const openedMs = performance.now();
  await using peer = await RawPeer.subscribe(port, STREAM);
  await peer.stream.until(() => peer.stream.events.length === 4);
  expect(peer.body).toMatch(/^retry: \d+\n\nid: 1\nevent: dashboard-update\ndata: \{/);
  expect(peer.stream.retries[0]).toBeWithin(750, 1251);
  const times = peer.stream.events.map(({ atMs }) => atMs - openedMs);
  expect(times[0]).toBeLessThan(190);
  // On a busy machine one may come late, and the next does not wait for it.
  expect((times[3] ?? 0) - (times[0] ?? 0)).toBeWithin(500, 2000);
});

test("all subscribers get the same bytes, of which each update is made and encoded once", async () => {
  let encoded = 0;
  let asked = 0;
  const { url } = await started({
    dashboard: () => {
      asked += 1;
      return { probe: { toJSON: () => (encoded += 1) } };
    },
  });
  const port = Number(new URL(url).port);
  const peers = await Promise.all(
    Array.from({ length: 20 }, () => RawPeer.subscribe(port, STREAM)),
  );
  await Promise.all(
    peers.map(({ stream }) => stream.until(() => stream.named("dashboard-update").length >= 4)),
  );
  const updates = await metric(url, "headgate_dashboard_updates_total");
  expect(asked).toBeWithin(4, updates + 2);
  expect(encoded).toBe(asked);
  for (const id of ["2", "3", "4"]) {
    const frames = peers.map(({ body }) => frameOf(body, id));
    expect(new Set(frames).size).toBe(1);
    expect(frames[0]).toStartWith(`id: ${id}\nevent: dashboard-update\ndata: {"timestamp":`);
  }
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

test("while nobody looks, no update is made and the application is not asked", async () => {
  let asked = 0;
  const { url } = await started({ dashboard: () => ({ asked: (asked += 1) }) });
  expect(await metric(url, "headgate_dashboard_updates_total")).toBe(0);
  const subscriber = await TestSubscriber.open(url, STREAM);
  await subscriber.first("dashboard-update");
  await subscriber.cut();
  await until(async () => (await metric(url, "sse_connected_clients")) === 0);
  const before = [asked, await metric(url, "headgate_dashboard_updates_total")];
  await Bun.sleep(250);
  expect([asked, await metric(url, "headgate_dashboard_updates_total")]).toEqual(before);
});

test("who comes back gets the newest update, whatever id it names", async () => {
  const { url } = await started();
  await using first = await TestSubscriber.open(url, STREAM);
  await first.until(() => first.lastEventId === "2");
  for (const lastEventId of ["1", "2", "999999", "1~events~abc~7", "garbage"]) {
    await using again = await TestSubscriber.open(url, STREAM, { lastEventId });
    const { id } = await again.first("dashboard-update");
    expect(again.events).toHaveLength(1);
    expect(Number(id)).toBeGreaterThanOrEqual(2);
  }
});

test("a source that takes too long delays no update beyond its deadline, and an alert says so", async () => {
  let isSlow = false;
  const slow = Promise.withResolvers<object>();
  const { url } = await started({
    dashboard: async () => (isSlow ? { ...(await slow.promise) } : { good: 1 }),
  });
  await using subscriber = await TestSubscriber.open(url, STREAM);
  await subscriber.first("dashboard-update");
  isSlow = true;
  const message = "the application's data source does not answer in time";
  const alerts = (): unknown[] => updatesOf(subscriber).flatMap(alertsOf);
  await subscriber.until(() => alerts().length >= 3);
  expect(alerts()[0]).toMatchObject({ rule: "dashboard-sections", message });
  // Since when is the same in all of them.
  expect(new Set(alerts().map((alert) => JSON.stringify(alert))).size).toBe(1);
  expect(updatesOf(subscriber).at(-1)).toMatchObject({
    good: 1,
    performance: {
      healthScore: 95,
      reasons: [{ rule: "dashboard-sections", points: 5, message }],
      subsystems: { dashboard: { status: "degraded", message } },
    },
  });
  isSlow = false;
  slow.resolve({ good: 2 });
  await subscriber.until(() => updatesOf(subscriber).at(-1)?.["good"] === 1);
  await subscriber.until(() => alertsOf(updatesOf(subscriber).at(-1) ?? {}).length === 0);
});

test("a source that throws, or returns what cannot be shown, costs its sections and nothing else", async () => {
  let answer: DashboardSource = () => ({ good: 1 });
  const { url } = await started({ dashboard: () => answer() });
  await using subscriber = await TestSubscriber.open(url, STREAM);
  await subscriber.first("dashboard-update");
  const bad: readonly (readonly [DashboardSource, message: string])[] = [
    [() => Promise.reject(new Error("never shown")), "has thrown an error"],
    [() => ({ a: 1n }), "what JSON cannot hold"],
    [() => ({ a: "x".repeat(200_000) }), "more than 128 KiB"],
  ];
  for (const [source, message] of bad) {
    answer = source;
    await subscriber.until(() =>
      JSON.stringify(alertsOf(updatesOf(subscriber).at(-1) ?? {})).includes(message),
    );
    expect(updatesOf(subscriber).at(-1)).toMatchObject({ good: 1 });
  }
  expect(subscriber.events.map(({ data }) => data).join("")).not.toContain("never shown");
});

test("a section cannot take the name of the dashboard's own", async () => {
  const { url } = await started({
    dashboard: () => ({ performance: { healthScore: 1000 }, metadata: 1, own: 2 }),
  });
  await using subscriber = await TestSubscriber.open(url, STREAM);
  await subscriber.first("dashboard-update");
  expect(updatesOf(subscriber)[0]).toMatchObject({ metadata: { mode: "embedded" }, own: 2 });
  expect(alertsOf(updatesOf(subscriber)[0] ?? {})).toMatchObject([
    {
      rule: "dashboard-sections",
      message:
        "section performance is left out: the dashboard has its own; section metadata is left out: the dashboard has its own",
    },
  ]);
});

test("E1 a watcher that stalls holds no updates and is cut; the others never notice", async () => {
  const filler = "x".repeat(100_000);
  const { url } = await started({
    dashboard: () => ({ filler }),
    maxStallMs: 500,
    cleanupMs: 50,
  });
  const port = Number(new URL(url).port);
  await using stalled = await RawPeer.subscribe(port, STREAM);
  await using other = await TestSubscriber.open(url, STREAM);
  await stalled.stream.first("dashboard-update");
  stalled.socket.pause();
  const name = 'sse_streams_closed_total{reason="stalled"}';
  await until(async () => (await metric(url, name)) === 1);
  expect(await metric(url, "sse_connected_clients")).toBe(1);
  const { length } = other.named("dashboard-update");
  await other.until(() => other.named("dashboard-update").length > length + 2);
});

test("E5 streams that open and close at once leave nothing behind", async () => {
  const { url } = await started();
  await Promise.all(
    Array.from({ length: 100 }, async () => (await TestSubscriber.open(url, STREAM)).cut()),
  );
  await until(async () => (await metric(url, "sse_connected_clients")) === 0);
  expect(await metric(url, "sse_streams_opened_total")).toBe(
    await metric(url, 'sse_streams_closed_total{reason="client"}'),
  );
});

test("G1 a drain ends dashboards too, within the grace, and new ones are told to come back", async () => {
  const headgate = await started({ shutdownGraceMs: 1500 });
  const { url } = headgate;
  const subscribers = await Promise.all(
    Array.from({ length: 10 }, () => TestSubscriber.open(url, STREAM)),
  );
  await Promise.all(subscribers.map((each) => each.first("dashboard-update")));
  const stopped = headgate.stop();
  await using late = await TestSubscriber.open(url, STREAM);
  await late.ended();
  expect(late.events.map(({ event, data }) => [event, data])).toEqual([
    ["close", '{"reason":"shutdown","reconnect":true}'],
  ]);
  await Promise.all(subscribers.map((each) => each.ended()));
  for (const { events, failure } of subscribers) {
    expect(events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
    expect(failure).toBeUndefined();
  }
  await stopped;
});

/** The alerts in an update. */
function alertsOf(update: Record<string, unknown>): readonly unknown[] {
  const { performance } = update as { performance?: { alerts: readonly unknown[] } };
  return performance?.alerts ?? [];
}

/** The whole event with this id. */
function frameOf(body: string, id: string): string {
  return body.split("\n\n").find((frame) => frame.startsWith(`id: ${id}\n`)) ?? "";
}
