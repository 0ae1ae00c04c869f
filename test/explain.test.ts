import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { createHeadgate } from "../src/headgate.ts";
import type { Explanation } from "../src/hub/explain.ts";
import type { LogEntry, RecordHeader } from "../src/log/entry.ts";
import { EventLog } from "../src/log/event-log.ts";
import { parsePosition } from "../src/log/position.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { hmacToken, SECRET } from "./support/tokens.ts";

setDefaultTimeout(20_000);

const directory = temporaryDirectory();
const NOW_MS = Date.now();

let server: LocalServer;

/**
 * `events` has two partitions, of which the first events are no longer held, `orders` one; `remade`
 * was made anew. Among the events are some for a few only, a tombstone, one that is no text, one that
 * cannot be shown and one that is larger than a write; of `orders` some were lost.
 */
beforeAll(async () => {
  {
    using log = new EventLog({ path: join(directory.path, "embedded.db"), durable: true });
    log.append([
      { kind: "topic", topic: "events", tag: "ev", offsets: [0, 0] },
      { kind: "topic", topic: "orders", tag: "or", offsets: [0] },
      { kind: "topic", topic: "remade", tag: "old", offsets: [0] },
      ...[0, 1, 2, 3].map((offset) => record("events", offset)),
      ...[0, 1].map((offset) => record("remade", offset)),
    ]);
    log.trim({ arrivedBeforeMs: Infinity, maxBytes: Infinity }, 5);
    log.append([
      { kind: "topic", topic: "remade", tag: "new", offsets: [0] },
      ...[4, 5].map((offset) => record("events", offset, { to: ["user", "ann"] })),
      ...[0, 1, 2].map((offset) => record("orders", offset, { type: "order.created" })),
      record("events", 0, { partition: 1, to: ["channel", "news"] }),
      record("events", 1, { partition: 1, value: Buffer.alloc(200_000, "ä") }),
      record("events", 2, { partition: 1, value: null, key: "k1" }),
      record("events", 6, { value: Buffer.from([0xff, 0]) }),
      {
        kind: "skipped",
        topic: "events",
        partition: 0,
        offset: 7,
        timestampMs: NOW_MS,
        key: null,
        headers: [],
        reason: "too-large",
      },
      record("remade", 0, { type: "order.created" }),
      record("orders", 3, { to: ["client", "till"] }),
      { kind: "gap", topic: "orders", partition: 0, next: 6 },
      ...[8, 9].map((offset) => record("events", offset, { value: Buffer.from("two\nlines") })),
    ]);
  }
  server = await startLocalServer({
    DATA_DIR: directory.path,
    KAFKA_TOPICS: "events,orders,remade",
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function record(
  topic: string,
  offset: number,
  {
    partition = 0,
    value = Buffer.from(`{"n":${offset}}`),
    key = `k${offset % 3}`,
    type,
    to,
  }: {
    partition?: number;
    value?: Uint8Array | null;
    key?: string;
    type?: string;
    to?: readonly [kind: string, name: string];
  } = {},
): LogEntry {
  const headers: RecordHeader[] = [];
  if (type !== undefined) headers.push(["type", Buffer.from(type)]);
  if (to) headers.push([`headgate-${to[0]}`, Buffer.from(to[1])]);
  const timestampMs = NOW_MS - (9 - offset) * 60_000;
  return {
    kind: "record",
    topic,
    partition,
    offset,
    timestampMs,
    timestampType: "create",
    key: Buffer.from(key),
    value,
    headers,
  };
}

async function explain(query: string, lastEventId?: string, accept = "*/*"): Promise<Explanation> {
  const headers: Record<string, string> = { Accept: accept };
  if (lastEventId !== undefined) headers["Last-Event-ID"] = lastEventId;
  const response = await fetch(`${server.url}/events/explain?${query}`, { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("cache-control")).toBe("no-store");
  return (await response.json()) as Explanation;
}

interface Frame {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
  readonly bytes: number;
}

/** The frames of a stream, in either form, up to `live`. */
async function framesOf(query: string, lastEventId = "", accept = "*/*"): Promise<Frame[]> {
  const headers = `Accept: ${accept}\r\nLast-Event-ID: ${lastEventId}\r\n`;
  await using peer = await RawPeer.subscribe(server.port, `/events?${query}`, headers);
  const isLines = accept !== "*/*";
  const live = isLines ? /^\{"event":"live".*\n/m : /^event: live\ndata: .*\n\n/m;
  await peer.stream.until(() => live.test(peer.body));
  const frames = peer.body.split(isLines ? "\n" : "\n\n").slice(0, -1);
  return frames.map((frame) => {
    const bytes = Buffer.byteLength(frame) + (isLines ? 1 : 2);
    if (isLines) {
      const { event = "message", id, data } = JSON.parse(frame) as Partial<Record<string, string>>;
      return { event, id, data: JSON.stringify(data), bytes };
    }
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1];
    const event = field("event") ?? (frame.startsWith("retry:") ? "retry" : "message");
    return { event, id: field("id"), data: field("data") ?? "", bytes };
  });
}

/** The same answer, from what the stream itself does. */
function expected(frames: readonly Frame[]): Explanation {
  const begin = frames.findIndex(({ event }) => event === "connection");
  const live = frames.findIndex(({ event }) => event === "live");
  const connection = JSON.parse(frames[begin]?.data ?? "") as { resumed: boolean };
  const reasons = new Map<string, Explanation["topics"][number]["reset"]>();
  let first = begin + 1;
  for (; frames[first]?.event === "reset"; first += 1) {
    // One that lies in the log is a part of the replay.
    if (frames[first]?.data.includes('"lost"')) break;
    const { topics, reason } = JSON.parse(frames[first]?.data ?? "") as {
      topics: string[];
      reason: Explanation["topics"][number]["reset"];
    };
    for (const topic of topics) reasons.set(topic, reason);
  }
  const id = frames[first - 1]?.id ?? "";
  const replayed = frames.slice(first, live);
  return {
    id,
    resumed: connection.resumed,
    topics: [...(parsePosition(id) ?? [])].map(([topic, { offsets }]) => ({
      topic,
      partitions: offsets.length,
      start: offsets,
      reset: reasons.get(topic) ?? null,
    })),
    replay: {
      events: (JSON.parse(frames[live]?.data ?? "") as { replayed: number }).replayed,
      bytes: replayed.reduce((sum, { bytes }) => sum + bytes, 0),
      estimated: false,
    },
  };
}

const QUERIES = [
  "",
  "since=earliest",
  "since=5m",
  "since=2999-01-01",
  "recent=3",
  "recent=0",
  "recent=1000",
  "recent=2&per=key",
  "recent=1000&per=key&keys=k0,k1&envelope=true",
  "topics=orders,remade&since=earliest&types=order.*",
  "since=earliest&types=none",
  "since=earliest&types=delete,binary",
  "since=earliest&userId=ann",
  "since=earliest&channels=news,sport&clientId=till",
  "recent=4&userId=ann&envelope=true",
];

const IDS = [
  ["no id", undefined],
  ["the end", "1~events~ev~10.3~orders~or~6~remade~new~1"],
  ["a place", "1~events~ev~6.1~orders~or~2~remade~new~0"],
  ["a place of one topic", "1~orders~or~1"],
  ["no position", "garbage"],
  ["a place that is no longer held", "1~events~ev~0.1~orders~or~1~remade~new~0"],
  ["a place beyond the end", "1~events~ev~6.1~orders~or~99~remade~new~0"],
  ["a topic of before", "1~events~ev~6.1~orders~or~2~remade~old~1"],
  ["a place that nothing is right about", "1~events~ev~0.0~orders~or~99~remade~zz~7"],
] as const;

test.each(IDS)("with %s an explanation is what the stream then does", async (_, lastEventId) => {
  for (const query of QUERIES) {
    const told = await explain(query, lastEventId);
    expect({ query, ...told }).toEqual({
      query,
      ...expected(await framesOf(query, lastEventId)),
    });
  }
});

test("the explanation of a stream of JSON lines counts their bytes", async () => {
  const accept = "application/x-ndjson";
  for (const query of QUERIES) {
    const told = await explain(query, undefined, accept);
    expect({ query, ...told }).toEqual({
      query,
      ...expected(await framesOf(query, undefined, accept)),
    });
  }
});

test("the resets of an explanation are what is wrong with each topic", async () => {
  const { resumed, topics } = await explain("", IDS[8][1]);
  expect(resumed).toBe(false);
  expect(topics).toEqual([
    { topic: "events", partitions: 2, start: [2, 0], reset: "expired" },
    { topic: "orders", partitions: 1, start: [6], reset: "ahead" },
    { topic: "remade", partitions: 1, start: [0], reset: "recreated" },
  ]);
  expect((await explain("", IDS[4][1])).topics.map(({ reset }) => reset)).toEqual([
    "malformed",
    "malformed",
    "malformed",
  ]);
  expect((await explain("", IDS[2][1])).resumed).toBe(true);
});

test.each([
  "unknown=1",
  "since=yesterday",
  "since=latest&recent=1",
  "recent=1001",
  "per=key",
  "topics=",
  "topics=nothing",
  "keys=a&keys=b",
  "clientId=a%20b",
  "types=%ff",
])("?%s is refused as /events refuses it", async (query) => {
  const [stream, explanation] = await Promise.all(
    ["/events", "/events/explain"].map((path) => fetch(`${server.url}${path}?${query}`)),
  );
  expect(stream?.status).toBeOneOf([400, 404]);
  expect(explanation?.status).toBe(stream?.status ?? 0);
  expect(await explanation?.json()).toEqual(await stream?.json());
});

test("naming oneself from elsewhere is refused as /events refuses it", async () => {
  const response = await fetch(`${server.url}/events/explain?userId=ann`, {
    headers: { "X-Forwarded-For": "192.0.2.1" },
  });
  expect(response.status).toBe(403);
});

test("a token's explanation is of what the token may read", async () => {
  await using guarded = await startLocalServer({
    AUTH: "jwt",
    JWT_SECRET: SECRET,
    KAFKA_TOPICS: "events,orders",
  });
  await guarded.headgate.publish([
    { data: 1 },
    { data: 2, to: { user: "ann" } },
    { data: 3, to: { user: "bob" } },
    { topic: "orders", data: 4 },
  ]);
  const ask = (query: string, token?: string): Promise<Response> =>
    fetch(`${guarded.url}/events/explain?${query}`, {
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    });
  const token = hmacToken({ sub: "ann", headgate: { subscribe: ["events"] } });
  const told = (await (await ask("since=earliest", token)).json()) as Explanation;
  expect(told.topics.map(({ topic }) => topic)).toEqual(["events"]);
  expect(told.replay).toMatchObject({ events: 2, estimated: false });
  expect((await ask("")).status).toBe(401);
  expect((await ask("topics=orders", token)).status).toBe(404);
  expect((await ask("channels=news", token)).status).toBe(403);
});

test("E10 a replay that is too long to read for an answer is estimated, and nearly right", async () => {
  await using large = await startLocalServer();
  const text = "x".repeat(50_000);
  for (let i = 0; i < 30; i += 1) {
    await large.headgate.publish(Array.from({ length: 10 }, () => ({ data: text })));
  }
  const ask = async (query: string): Promise<Explanation["replay"]> =>
    ((await (await fetch(`${large.url}/events/explain?${query}`)).json()) as Explanation).replay;
  const { events, bytes, estimated } = await ask("since=earliest");
  expect(estimated).toBe(true);
  expect(events).toBeWithin(290, 311);
  expect(bytes / events).toBeWithin(50_000, 50_101);
  expect(await ask("recent=100")).toMatchObject({ events: 100, estimated: false });
  expect(await ask("since=latest")).toEqual({ events: 0, bytes: 0, estimated: false });
});

test("a server that is not ready cannot explain yet, and says when to ask again", async () => {
  const headgate = createHeadgate({
    port: 0,
    kafkaBrokers: ["127.0.0.1:1"],
    dataDir: ":memory:",
    logLevel: "silent",
    shutdownGraceMs: 0,
  });
  await headgate.start();
  try {
    const response = await fetch(`${headgate.url}/events/explain`);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).not.toBeNull();
    expect(await response.json()).toMatchObject({ type: "/errors/not-ready" });
  } finally {
    await headgate.stop();
  }
});

test("an explanation opens no stream, takes no slot, and has no body for HEAD", async () => {
  await using small = await startLocalServer({ SSE_MAX_CONNECTIONS: "1" });
  for (let i = 0; i < 5; i += 1) {
    expect((await fetch(`${small.url}/events/explain`)).status).toBe(200);
  }
  expect((await small.headgate.connections()).total).toBe(0);
  const head = await fetch(`${small.url}/events/explain`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect((await fetch(`${small.url}/events/explain`, { method: "POST" })).status).toBe(405);
});
