import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { until } from "./support/feed.ts";
import { halfOpenPeer, RawPeer, stalledReader } from "./support/peers.ts";
import { metric, publish, type ServerProcess, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

// A process of its own: what peers do to it, they do not do to the test.
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer({
    SSE_HEARTBEAT_INTERVAL: "150",
    SSE_MAX_STALL: "600",
    SSE_CLEANUP_INTERVAL: "100",
  });
});

afterAll(() => server[Symbol.asyncDispose]());

const clients = (): Promise<number> => metric(server.url, "sse_connected_clients");

/** Publishes so many events of 50 KB. */
async function flood(url: string, count: number): Promise<void> {
  const data = "x".repeat(50_000);
  for (let i = 0; i < count; i += 1) expect((await publish(url, { data })).status).toBe(200);
}

test("E1 a reader that stalls is out after SSE_MAX_STALL and counted; the others never notice", async () => {
  const name = 'sse_streams_closed_total{reason="stalled"}';
  const before = await metric(server.url, name);
  await using stalled = await stalledReader(server.port);
  await using other = await TestSubscriber.live(server.url);
  const startedMs = performance.now();
  await flood(server.url, 40);
  await other.recordsUpTo(40);
  expect(await clients()).toBe(2);
  await until(async () => (await metric(server.url, name)) === before + 1, { deadlineMs: 5000 });
  expect(performance.now() - startedMs).toBeGreaterThan(500);
  expect(await clients()).toBe(1);
  // What the stalled one could not take was not sent to it either.
  expect(stalled.stream.records.length).toBeLessThan(40);
  const beats = other.named("heartbeat").length;
  await other.until(() => other.named("heartbeat").length > beats + 1);
});

test("E2 a reader that is slow, but takes bytes, stays, and gets everything", async () => {
  await using slow = await stalledReader(server.port);
  await flood(server.url, 40);
  const step = setInterval(() => {
    slow.socket.resume();
    slow.socket.once("data", () => slow.socket.pause());
  }, 20);
  await slow.stream.recordsUpTo(40);
  clearInterval(step);
  expect(slow.stream.isEnded).toBe(false);
});

test("E2 a slow reader that falls out of the log is told that it lagged, and goes on", async () => {
  await using small = await startServer({ DATA_MAX_BYTES: "1MiB", SSE_MAX_STALL: "10000" });
  await using slow = await stalledReader(small.port);
  await flood(small.url, 100);
  // Retention lets go of the first ones, which the slow reader does not have yet.
  await until(async () => (await fetch(`${small.url}/events/events/0/70`)).status === 404);
  slow.socket.resume();
  const reset = await slow.stream.first("reset");
  const { reason, topics, position, requested } = JSON.parse(reset.data) as Record<string, unknown>;
  expect({ reason, topics, position }).toEqual({
    reason: "lagged",
    topics: ["events"],
    position: reset.id,
  });
  expect(requested).toMatch(/^1~events~[a-z0-9]+~\d+$/);
  await slow.stream.until(() => slow.stream.lastEventId.endsWith("~100"));
  const at = slow.stream.events.indexOf(reset);
  const floor = Number(reset.id.split("~").at(-1));
  const after = slow.stream.events.slice(at + 1).filter(({ event }) => event === "message");
  expect(after).toHaveLength(100 - floor);
});

test("E4 a peer whose cable is pulled is noticed while there is nothing to send but heartbeats", async () => {
  const before = await clients();
  await using pulled = await halfOpenPeer(server.port);
  expect(await clients()).toBe(before + 1);
  const descriptors = openDescriptors(server.pid);
  await until(async () => (await clients()) === before, { deadlineMs: 8000 });
  await until(() => openDescriptors(server.pid) < descriptors);
  expect(pulled.stream.isEnded).toBe(false);
});

test("E1 E4 a client process that is stopped is out after SSE_MAX_STALL as soon as there is more than it can hold", async () => {
  const before = await clients();
  const curl = Bun.spawn(["curl", "-sN", `${server.url}/events`], { stdout: "ignore" });
  await until(async () => (await clients()) === before + 1);
  curl.kill("SIGSTOP");
  await flood(server.url, 40);
  await until(async () => (await clients()) === before, { deadlineMs: 8000 });
  curl.kill("SIGKILL");
  await curl.exited;
});

test("E5 two thousand streams that open and close leave nothing behind", async () => {
  const before = await clients();
  const descriptors = openDescriptors(server.pid);
  for (let round = 0; round < 20; round += 1) {
    const peers = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        RawPeer.send(
          server.port,
          `GET /events?keys=k${round}-${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
        ),
      ),
    );
    // Some before the first byte, some after it.
    for (const peer of peers.slice(0, 50)) peer.socket.destroy();
    await Promise.all(peers.slice(50).map((peer) => peer.answered()));
    for (const peer of peers.slice(50)) peer.socket.destroy();
  }
  await until(async () => (await clients()) === before);
  await until(() => openDescriptors(server.pid) <= descriptors + 5);
  const opened = await metric(server.url, "sse_streams_opened_total");
  expect(opened).toBeGreaterThanOrEqual(1000);
});

test("E6 a hundred that come back together from the same place get the rest, each once", async () => {
  await using first = await TestSubscriber.live(server.url);
  const lastEventId = first.lastEventId;
  await publish(
    server.url,
    Array.from({ length: 200 }, (_, i) => ({ data: i })),
  );
  await first.recordsUpTo(200);
  const peers = await Promise.all(
    Array.from({ length: 100 }, () =>
      RawPeer.subscribe(server.port, "/events", `Last-Event-ID: ${lastEventId}\r\n`),
    ),
  );
  const expected = first.records.map(({ data }) => data);
  for (const { stream, socket } of peers) {
    await stream.first("live");
    expect(stream.records.map(({ data }) => data)).toEqual(expected);
    socket.destroy();
  }
  // They are told to come back at different times.
  expect(new Set(peers.map(({ stream }) => stream.retries[0])).size).toBeGreaterThan(10);
});

test("E7 beyond SSE_MAX_CONNECTIONS a stream is told when to come back, a fetch gets 503", async () => {
  await using full = await startServer({ SSE_MAX_CONNECTIONS: "2" });
  await using first = await TestSubscriber.live(full.url);
  await using second = await TestSubscriber.live(full.url);
  await using third = await TestSubscriber.open(full.url);
  await third.ended();
  expect(third.response.status).toBe(200);
  expect(third.events).toMatchObject([
    { event: "close", data: '{"reason":"overloaded","reconnect":true}', id: "" },
  ]);
  expect(third.retries[0]).toBeWithin(5000, 15_001);
  const refused = await fetch(`${full.url}/events`, { headers: { Accept: "*/*" } });
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeWithin(5, 16);
  expect(await refused.json()).toMatchObject({ type: "/errors/overloaded" });
  await second.cut();
  await until(async () => (await metric(full.url, "sse_connected_clients")) === 1);
  await using again = await TestSubscriber.live(full.url);
  expect([first, again].every(({ isEnded }) => !isEnded)).toBe(true);
});

test("E10 a long replay starves nobody who is live", async () => {
  await using busy = await startServer();
  const batch = Array.from({ length: 500 }, (_, i) => ({
    type: "bulk",
    data: { i, text: "x".repeat(200) },
  }));
  for (let i = 0; i < 20; i += 1) await publish(busy.url, batch);
  await using live = await TestSubscriber.live(busy.url, "/events?types=now");
  // Ten long scans: five that send everything, five that match nothing.
  const scans = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      TestSubscriber.open(busy.url, `/events?since=earliest${i % 2 ? "&types=none" : ""}`),
    ),
  );
  const delays: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    const sentMs = performance.now();
    await publish(busy.url, { type: "now", data: i });
    await live.recordsUpTo(i + 1);
    delays.push(performance.now() - sentMs);
  }
  expect(Math.max(...delays)).toBeLessThan(1000);
  for (const [i, scan] of scans.entries()) {
    if (i % 2) await scan.first("live");
    else await scan.until(() => scan.named("bulk").length === 10_000);
    await scan.cut();
  }
});

test("E11 a filter that matches nothing moves on by its heartbeats, and comes back without a scan", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?types=nothing");
  const before = subscriber.lastEventId;
  await publish(
    server.url,
    Array.from({ length: 50 }, (_, i) => ({ data: i })),
  );
  await subscriber.until(() => subscriber.lastEventId !== before);
  expect(subscriber.events.at(-1)?.event).toBe("heartbeat");
  await using all = await TestSubscriber.live(server.url, "/events", {
    lastEventId: subscriber.lastEventId,
  });
  expect(all.records).toEqual([]);
});

test("a heartbeat is an event with an id, after the interval without a byte", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  const [live] = subscriber.named("live");
  const heartbeat = await subscriber.first("heartbeat");
  expect(heartbeat).toMatchObject({ data: "", id: live?.id });
  expect(heartbeat.atMs - (live?.atMs ?? 0)).toBeWithin(100, 1000);
});

test("a stream of SSE_MAX_CONNECTION_AGE ends with retry and close, and resumes where it was", async () => {
  await using aging = await startServer({
    SSE_MAX_CONNECTION_AGE: "500",
    SSE_CLEANUP_INTERVAL: "20",
  });
  await using subscriber = await TestSubscriber.live(aging.url);
  await publish(aging.url, { data: 1 });
  await subscriber.ended();
  expect(subscriber.failure).toBeUndefined();
  expect(subscriber.retries).toHaveLength(2);
  const close = subscriber.events.at(-1);
  expect(close).toMatchObject({ event: "close", data: '{"reason":"max-age","reconnect":true}' });
  await publish(aging.url, { data: 2 });
  await using resumed = await TestSubscriber.live(aging.url, "/events", {
    lastEventId: subscriber.lastEventId,
  });
  expect(resumed.records.map(({ data }) => data)).toEqual(["2"]);
});

function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
