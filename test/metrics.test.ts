import { expect, setDefaultTimeout, test } from "bun:test";
import { createMetrics, type Metrics, watchEventLoop } from "../src/metrics.ts";
import { runs } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { metric, publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

/** Every sample of the page, as Prometheus names it: labels included, values left out. */
async function seriesOf(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return samples.map((line) => line.replace(/ [^ ]*$/, "")).toSorted();
}

test("D11 whatever keys, types, users, channels, headers and paths strangers send, no series is made of them", async () => {
  await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
  const send = async (name: string): Promise<void> => {
    const to = { user: name, channel: name, client: name };
    await using subscriber = await TestSubscriber.live(
      server.url,
      `/events?userId=${name}&channels=${name}&clientId=${name}&types=${name}&keys=${name}`,
    );
    const events = [
      { type: name, key: name, data: name, headers: { [name]: name } },
      { type: name, key: name, data: name, to },
    ];
    const answer = await publish(server.url, events, { "Idempotency-Key": name });
    expect(answer.status).toBe(200);
    await subscriber.recordsUpTo(2);
    for (const path of [`/${name}`, `/events?${name}=1`, `/events?topics=${name}`]) {
      await (await fetch(`${server.url}${path}`)).text();
    }
    await publish(server.url, { topic: name, data: 1 });
    await fetch(`${server.url}/events`, { headers: { "Last-Event-ID": name }, method: "HEAD" });
  };
  await send("first");
  // Its end is a series too, once it is counted.
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  const before = await seriesOf(server.url);
  for (let n = 0; n < runs(50); n += 1) await send(`hostile-${n}`);
  for (let n = 0; n < runs(10_000); n += 500) {
    expect((await publish(server.url, hostileEvents(n, 500))).status).toBe(200);
    await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        publish(server.url, { topic: `hostile-${n + i}`, data: 1 }),
      ),
    );
  }
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  const after = await seriesOf(server.url);
  expect(after).toEqual(before);
  expect(after.join("\n")).not.toMatch(/hostile|first/);
});

/** Events of which no two have anything in common. */
function hostileEvents(from: number, count: number): unknown[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `hostile-${from + i}`;
    const to = { user: name, channel: name, client: name };
    return { type: name, key: name, data: name, headers: { [name]: name }, to };
  });
}

test("the topics that are labels are those of the settings", async () => {
  await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
  const topics = (await seriesOf(server.url)).filter((name) => name.includes("topic="));
  expect(topics).toEqual([
    'headgate_feed_lag_records{topic="events"}',
    'headgate_feed_lag_records{topic="orders"}',
    'headgate_feed_stale_seconds{topic="events"}',
    'headgate_feed_stale_seconds{topic="orders"}',
  ]);
});

test("/metrics says what runs, since when, and what it holds", async () => {
  const beforeS = Date.now() / 1_000;
  await using server = await startLocalServer();
  await using subscriber = await TestSubscriber.live(server.url);
  await publish(server.url, [{ data: 1 }, { data: 2 }]);
  await subscriber.recordsUpTo(2);
  const value = (name: string): Promise<number> => metric(server.url, name);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toMatch(/^headgate_build_info\{version="[\d.]+",bun="[\d.]+",mode="embedded"\} 1$/m);
  expect(await value("process_start_time_seconds")).toBeWithin(beforeS - 3_600, beforeS);
  expect(await value("process_resident_memory_bytes")).toBeGreaterThan(1 << 20);
  expect(await value("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(await value("headgate_ready")).toBe(1);
  expect(await value('sse_subscribers{state="live"}')).toBe(1);
  expect(await value('sse_subscribers{state="waiting"}')).toBe(0);
  expect(await value("headgate_records_appended_total")).toBe(2);
  expect(await value("headgate_delivery_latency_seconds_count")).toBe(2);
  expect(await value('headgate_delivery_latency_seconds_bucket{le="5"}')).toBe(2);
  expect(await value('headgate_publish_duration_seconds_count{result="ok"}')).toBe(1);
  // The topic's own entry is one too.
  expect(await value("headgate_log_rows")).toBe(3);
  expect(await value("headgate_log_bytes")).toBeGreaterThan(0);
  expect(await value('headgate_feed_lag_records{topic="events"}')).toBe(0);
});

test("CPU time is counted once, however often it is asked for", async () => {
  const metrics = createMetrics();
  const spent = async (): Promise<number> => {
    const text = await metrics.registry.getSingleMetricAsString("process_cpu_seconds_total");
    return Number(/ ([\d.]+)$/m.exec(text)?.[1]);
  };
  for (let n = 0; n < 5; n += 1) await spent();
  const { user, system } = process.cpuUsage();
  expect(await spent()).toBeWithin((user + system) / 1e6 - 0.1, (user + system) / 1e6 + 0.5);
});

test("lag is the sum of a topic's partitions, and silence that of the one that is worst off", async () => {
  const metrics = createMetrics();
  const nowMs = Date.now();
  metrics.observe({
    partitions: () => [
      { topic: "a", lag: 3 },
      { topic: "a", lag: 4, staleSince: nowMs - 90_000 },
      { topic: "b", lag: 0, staleSince: nowMs + 5_000 },
    ],
  });
  const page = await metrics.registry.metrics();
  expect(page).toInclude('headgate_feed_lag_records{topic="a"} 7\n');
  expect(page).toInclude('headgate_feed_lag_records{topic="b"} 0\n');
  expect(page).toMatch(/headgate_feed_stale_seconds\{topic="a"\} 9\d/);
  expect(page).toInclude('headgate_feed_stale_seconds{topic="b"} 0\n');
  // What is gone is not shown as it last was.
  metrics.observe({ partitions: () => [] });
  expect(await metrics.registry.metrics()).not.toInclude("topic=");
});

test("G4 an event loop that is held up is counted, with how long it was", async () => {
  const metrics = createMetrics();
  using _watch = watchEventLoop(metrics);
  const value = async (counter: Metrics["stalls"]): Promise<number> =>
    (await counter.get()).values[0]?.value ?? 0;
  const endMs = performance.now() + 600;
  while (performance.now() < endMs);
  await until(async () => (await value(metrics.stalls)) > 0);
  expect(await value(metrics.stallSeconds)).toBeWithin(0.4, 5);
});
