import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { LogEntry } from "../src/log/entry.ts";
import { EventLog } from "../src/log/event-log.ts";
import { until } from "./support/feed.ts";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.now();
const directory = temporaryDirectory();

let server: LocalServer;

/** Ten events on `events`, an hour apart, the last one just now; two on `orders`. */
beforeAll(async () => {
  const entries: LogEntry[] = [
    { kind: "topic", topic: "events", tag: "ev", offsets: [0] },
    { kind: "topic", topic: "orders", tag: "or", offsets: [0] },
  ];
  for (let i = 0; i < 10; i += 1) {
    entries.push(
      record("events", i, NOW_MS - (9 - i) * HOUR_MS, `${i % 3}`, i % 2 ? "odd" : "even"),
    );
  }
  entries.push(record("orders", 0, NOW_MS, "k"), record("orders", 1, NOW_MS, "k"));
  writeLog(directory.path, entries);
  server = await startLocalServer({ DATA_DIR: directory.path, KAFKA_TOPICS: "events,orders" });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function record(
  topic: string,
  offset: number,
  timestampMs: number,
  key: string,
  type?: string,
): LogEntry {
  return {
    kind: "record",
    topic,
    partition: 0,
    offset,
    timestampMs,
    timestampType: "create",
    key: Buffer.from(key),
    value: Buffer.from(`${topic}-${offset}`),
    headers: type === undefined ? [] : [["type", Buffer.from(type)]],
  };
}

/** Puts entries where a server on this directory finds them: times, tags and gaps as no publish makes them. */
function writeLog(path: string, entries: readonly LogEntry[]): void {
  using log = new EventLog({ path: join(path, "embedded.db"), durable: true });
  log.append(entries);
}

/** What a stream replays before it is live. */
async function replay(target: string, lastEventId?: string): Promise<string[]> {
  await using subscriber = await TestSubscriber.live(
    server.url,
    target,
    lastEventId === undefined ? {} : { lastEventId },
  );
  const data = subscriber.records.map((event) => event.data);
  expect(subscriber.named("live")[0]?.data).toBe(JSON.stringify({ replayed: data.length }));
  return data;
}

const events = (from: number, to = 10): string[] =>
  Array.from({ length: to - from }, (_, i) => `events-${from + i}`);

test.each([
  ["latest", 10],
  ["earliest", 0],
  ["90m", 8],
  ["5400s", 8],
  ["3d", 0],
  ["0s", 10],
  [new Date(NOW_MS - 3 * HOUR_MS).toISOString(), 6],
  [encodeURIComponent(new Date(NOW_MS - 3 * HOUR_MS - 1).toISOString().replace("Z", "+00:00")), 6],
  [new Date(NOW_MS - 3 * HOUR_MS + 1).toISOString(), 7],
  ["1970-01-01", 0],
  ["2999-01-01T00:00:00Z", 10],
])("since=%s begins at offset %d", async (since, first) => {
  expect(await replay(`/events?topics=events&since=${since}`)).toEqual(events(first));
});

test("since goes by each partition's first record that is not before it, also where times go back", async () => {
  using own = temporaryDirectory();
  const entries: LogEntry[] = [{ kind: "topic", topic: "events", tag: "e", offsets: [0, 0] }];
  const at = (partition: number, offset: number, timestampMs: number): LogEntry => ({
    ...(record("events", offset, timestampMs, "k") as LogEntry & { kind: "record" }),
    partition,
    value: Buffer.from(`${partition}/${offset}`),
  });
  // F17: -1, 1970 and the far future are times like any other.
  entries.push(
    at(0, 0, 5000),
    at(0, 1, 100),
    at(1, 0, -1),
    at(1, 1, 0),
    at(1, 2, 9e12),
    at(0, 2, 200),
  );
  writeLog(own.path, entries);
  await using other = await startLocalServer({ DATA_DIR: own.path });
  const since = new Date(4000).toISOString();
  await using subscriber = await TestSubscriber.live(other.url, `/events?since=${since}`);
  expect(subscriber.records.map(({ data }) => data).toSorted()).toEqual([
    "0/0",
    "0/1",
    "0/2",
    "1/2",
  ]);
});

test.each([
  ["recent=3", events(7)],
  ["recent=100", events(0)],
  ["recent=0", []],
  ["recent=2&types=odd", ["events-7", "events-9"]],
  ["recent=2&keys=1", ["events-4", "events-7"]],
  ["recent=1&types=nothing", []],
])("%s begins with the newest events that match", async (query, expected) => {
  expect(await replay(`/events?topics=events&${query}`)).toEqual(expected);
});

test("GET /stream begins with the ten newest, over all topics", async () => {
  expect(await replay("/stream")).toEqual([...events(2), "orders-0", "orders-1"]);
  expect(await replay("/stream?recent=1")).toEqual(["orders-1"]);
});

test("Last-Event-ID beats since and recent", async () => {
  expect(await replay("/events?topics=events&since=earliest", "1~events~ev~8")).toEqual(events(8));
  expect(await replay("/events?topics=events&recent=5", "1~events~ev~9")).toEqual(events(9));
});

test("each id, given back, brings exactly the rest", async () => {
  await using all = await TestSubscriber.live(server.url, "/events?since=earliest");
  const seen = all.records;
  expect(seen).toHaveLength(12);
  for (const [i, { id }] of seen.entries()) {
    expect(await replay("/events", id)).toEqual(seen.slice(i + 1).map(({ data }) => data));
  }
});

test("a connection on a resume has exactly the id that was given, and says so", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=events", {
    lastEventId: "1~events~ev~8",
  });
  expect(subscriber.events[0]).toMatchObject({ event: "connection", id: "1~events~ev~8" });
  expect(JSON.parse(subscriber.events[0]?.data ?? "")).toMatchObject({
    resumed: true,
    topics: ["events"],
  });
});

test("types and keys filter a replay as they filter what is live", async () => {
  expect(await replay("/events?since=earliest&types=even&keys=0,1")).toEqual([
    "events-0",
    "events-4",
    "events-6",
  ]);
  expect(await replay("/events?since=earliest&types=ev*,message")).toEqual([
    "events-0",
    "events-2",
    "events-4",
    "events-6",
    "events-8",
    "orders-0",
    "orders-1",
  ]);
});

test("an envelope has coordinates, time, key and headers", async () => {
  const [event] = await replay("/events?topics=events&envelope=true", "1~events~ev~9");
  expect(JSON.parse(event ?? "")).toEqual({
    topic: "events",
    partition: 0,
    offset: 9,
    tstype: "create",
    ts: NOW_MS,
    key: "0",
    headers: { type: "odd" },
    payload: "events-9",
  });
});

async function recent(
  query: string,
): Promise<{ events: { payload: string }[]; truncated: boolean }> {
  const response = await fetch(`${server.url}/events/recent?${query}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  return (await response.json()) as { events: { payload: string }[]; truncated: boolean };
}

test.each([
  ["topics=events&limit=2", ["events-9", "events-8"]],
  ["limit=3", ["orders-1", "orders-0", "events-9"]],
  ["topics=events&types=odd&limit=2", ["events-9", "events-7"]],
  ["keys=k&limit=1", ["orders-1"]],
  ["keys=none", []],
])("GET /events/recent?%s lists the newest first", async (query, expected) => {
  const { events: found, truncated } = await recent(query);
  expect(found.map(({ payload }) => payload)).toEqual(expected);
  expect(truncated).toBe(false);
});

test("GET /events/recent lists ten where no limit is given, and refuses too many", async () => {
  expect((await recent("")).events).toHaveLength(10);
  for (const query of ["limit=0", "limit=1001", "limit=x", "since=earliest", "topics=a*b"]) {
    expect((await fetch(`${server.url}/events/recent?${query}`)).status).toBe(400);
  }
  expect((await fetch(`${server.url}/events/recent?topics=nothing`)).status).toBe(404);
});

test("an event is found by its coordinates, and is 404 where there is none", async () => {
  const found = await fetch(`${server.url}/events/events/0/3`);
  expect(await found.json()).toMatchObject({ topic: "events", offset: 3, payload: "events-3" });
  const missing = [
    "events/0/10",
    "events/1/0",
    "nothing/0/0",
    "events/0/-1",
    "events/0/03",
    "events/x/0",
  ];
  for (const path of [...missing, "events/0/99999999999999999999", "__proto__/0/0"]) {
    const response = await fetch(`${server.url}/events/${path}`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ type: "/errors/event-not-found", status: 404 });
  }
});

test("B10 a topic that was made anew is recreated: fewer, as many and more records than the position", async () => {
  using own = temporaryDirectory();
  writeLog(own.path, [
    { kind: "topic", topic: "events", tag: "old", offsets: [0] },
    ...[0, 1, 2].map((offset) => record("events", offset, 1, "old")),
    { kind: "topic", topic: "events", tag: "new", offsets: [0] },
    ...[0, 1].map((offset) => record("events", offset, 1, "new")),
  ]);
  await using other = await startLocalServer({ DATA_DIR: own.path });
  for (const offset of [1, 2, 3]) {
    const lastEventId = `1~events~old~${offset}`;
    await using subscriber = await TestSubscriber.live(other.url, "/events", { lastEventId });
    const [reset] = subscriber.named("reset");
    expect(JSON.parse(reset?.data ?? "")).toEqual({
      reason: "recreated",
      topics: ["events"],
      requested: lastEventId,
      position: "1~events~new~0",
    });
    expect(subscriber.records.map(({ data }) => data)).toEqual(["events-0", "events-1"]);
  }
  await using latest = await TestSubscriber.live(other.url, "/events?since=latest", {
    lastEventId: "1~events~old~1",
  });
  expect(latest.records).toEqual([]);
  expect(latest.lastEventId).toBe("1~events~new~2");
});

test("B9 a position that retention has passed is expired, of its topic alone, and goes on from what is held", async () => {
  using own = temporaryDirectory();
  await using other = await startLocalServer({
    DATA_DIR: own.path,
    KAFKA_TOPICS: "events,orders",
    DATA_MAX_BYTES: "1MiB",
    SSE_HEARTBEAT_INTERVAL: "100",
  });
  await using first = await TestSubscriber.live(other.url);
  await publish(other.url, { topic: "orders", data: "first order" });
  await first.recordsUpTo(1);
  const lastEventId = first.lastEventId;
  await first.cut();
  const data = "x".repeat(20_000);
  for (let i = 0; i < 15; i += 1)
    await publish(
      other.url,
      Array.from({ length: 10 }, () => ({ data })),
    );
  const held = async (): Promise<boolean> =>
    (await fetch(`${other.url}/events/events/0/80`)).status === 404;
  await until(held);
  await using resumed = await TestSubscriber.live(other.url, "/events", { lastEventId });
  const [reset] = resumed.named("reset");
  const { position, ...told } = JSON.parse(reset?.data ?? "") as Record<string, unknown>;
  expect(told).toEqual({ reason: "expired", topics: ["events"], requested: lastEventId });
  expect(reset?.id).toBe(String(position));
  const floor = Number(/~events~[a-z0-9]+~(\d+)/.exec(reset?.id ?? "")?.[1]);
  expect(resumed.records).toHaveLength(150 - floor);
  // The other topic is exactly where it was.
  expect(reset?.id).toEndWith(/~orders~[a-z0-9]+~1$/.exec(lastEventId)?.[0] ?? "-");
});

test("/events/recent is cut at 8 MiB, and says so", async () => {
  await using other = await startLocalServer();
  const data = "ä".repeat(100_000);
  for (let i = 0; i < 10; i += 1) {
    await publish(
      other.url,
      Array.from({ length: 5 }, () => ({ data })),
    );
  }
  const response = await fetch(`${other.url}/events/recent?limit=1000`);
  const text = await response.text();
  expect(Buffer.byteLength(text)).toBeWithin(7 << 20, (8 << 20) + 1000);
  expect(JSON.parse(text)).toMatchObject({ truncated: true });
});
