import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { isUtf8 } from "node:buffer";
import { join } from "node:path";
import fc from "fast-check";
import { EventLog } from "../src/log/event-log.ts";
import { until } from "./support/feed.ts";
import { LineReader } from "./support/line-reader.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { runs } from "./support/effort.ts";

setDefaultTimeout(20_000);

const SSE = "text/event-stream";
const NDJSON = "application/x-ndjson";

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "events,orders", SSE_HEARTBEAT_INTERVAL: "100" });
  await publish(server.url, [
    { type: "order.created", key: "o-1", data: { total: 12.5 }, headers: { trace: "t" } },
    { topic: "orders", key: "o-2", data: "a text\nof two lines" },
    { key: "o-1", data: null },
    { data: [1, null, true] },
  ]);
});

afterAll(() => server[Symbol.asyncDispose]());

/** Publishes one value of any bytes, with an optional key, as other writers to Kafka might. */
async function publishBytes(
  value: Uint8Array | null,
  key: Uint8Array | null = null,
): Promise<void> {
  await server.headgate.publishRecords([{ topic: "events", key, value, headers: [] }]);
}

test.each([
  [NDJSON, NDJSON],
  [`${NDJSON}, */*;q=0.1`, NDJSON],
  [`${NDJSON}, ${SSE}`, NDJSON],
  [`${SSE}, ${NDJSON}`, SSE],
  [`${SSE};q=0.5, ${NDJSON}`, NDJSON],
  [`${NDJSON};q=0.5, ${SSE}`, SSE],
  [`${NDJSON};q=0`, SSE],
  ["application/*", SSE],
  ["*/*", SSE],
  ["application/json", SSE],
  ["application/ndjson", SSE],
])("Accept %s gets %s, from GET and HEAD, /events and /stream", async (accept, type) => {
  for (const target of ["/events", "/stream"]) {
    for (const method of ["HEAD", "GET"]) {
      const response = await fetch(`${server.url}${target}`, {
        method,
        headers: { Accept: accept },
      });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")?.split(";")[0]).toBe(type);
      expect(response.headers.get("cache-control")).toBe("no-cache, no-transform");
      expect(response.headers.get("x-accel-buffering")).toBe("no");
      expect(response.headers.get("vary")?.toLowerCase()).toInclude("accept");
      if (method === "HEAD") expect(await response.text()).toBe("");
      else await response.body?.cancel();
    }
  }
});

test("a record is a line: its envelope as it is, with the id that the other encodings give it", async () => {
  await using wrapped = await TestSubscriber.live(
    server.url,
    "/events?since=earliest&envelope=true",
  );
  await using lines = await LineReader.live(server.url, "/events?since=earliest");
  const expected = wrapped.records.map(({ id, data }) => `{"id":"${id}",${data.slice(1)}`);
  expect(expected.length).toBeGreaterThanOrEqual(4);
  expect(lines.texts.filter((text) => !text.startsWith('{"event"'))).toEqual(expected);
  expect(lines.records[0]).toEqual({
    id: expect.stringMatching(/^1~events~[a-z0-9]+~1~orders~[a-z0-9]+~0$/),
    topic: "events",
    partition: 0,
    offset: 0,
    tstype: "create",
    ts: expect.any(Number),
    key: "o-1",
    headers: { type: "order.created", trace: "t" },
    payload: { total: 12.5 },
  });
  expect(lines.records[2]).toMatchObject({ key: "o-1", payload: null });
});

test("system events are lines of event, id and data, and nothing of Server-Sent Events is there", async () => {
  await using lines = await LineReader.live(server.url, "/events?clientId=till-7&topics=orders");
  const [connection, live] = lines.lines;
  expect(connection).toEqual({
    event: "connection",
    id: expect.stringMatching(/^1~orders~[a-z0-9]+~\d+$/),
    data: {
      clientId: "till-7",
      timestamp: expect.any(String),
      message: expect.any(String),
      topics: ["orders"],
      resumed: false,
    },
  });
  expect(live).toEqual({ event: "live", id: connection?.id, data: { replayed: 0 } });
  const heartbeat = await lines.first("heartbeat");
  expect(Object.keys(heartbeat).toSorted()).toEqual(["data", "event", "id"]);
  expect(heartbeat.id).toBe(connection?.id);
  expect(heartbeat.data || null).toBeNull();
  expect(lines.texts.every((text) => text.startsWith("{") && text.endsWith("}"))).toBe(true);
  expect(lines.rest).toBe("");
});

test("a malformed id is told in a reset, whose line is the first with an id", async () => {
  await using lines = await LineReader.live(server.url, "/events?since=earliest", {
    lastEventId: "no id",
  });
  const [connection, reset, record] = lines.lines;
  expect(connection).toMatchObject({ event: "connection" });
  expect(connection).not.toHaveProperty("id");
  expect(reset).toEqual({
    event: "reset",
    id: expect.any(String),
    data: {
      reason: "malformed",
      topics: ["events", "orders"],
      requested: "no id",
      position: reset?.id,
    },
  });
  expect(record).toMatchObject({ offset: 0 });
});

test("the id of any line, given back as Last-Event-ID, brings exactly the lines after it", async () => {
  await using all = await LineReader.live(server.url, "/events?since=earliest");
  const start = all.lines.findIndex(({ event }) => event === undefined);
  expect(all.records.length).toBeGreaterThanOrEqual(4);
  for (const [i, { id }] of all.lines.entries()) {
    await using resumed = await LineReader.live(server.url, "/events", { lastEventId: id ?? "" });
    expect(resumed.lines[0]).toMatchObject({ event: "connection", id, data: { resumed: true } });
    expect(resumed.records).toEqual(all.records.slice(Math.max(0, i - start + 1)));
  }
});

test("subscribers of all encodings get the same events under the same ids, replayed and live", async () => {
  const target = "/events?recent=2";
  await using plain = await TestSubscriber.live(server.url, target);
  await using wrapped = await TestSubscriber.live(server.url, `${target}&envelope=true`);
  await using lines = await LineReader.live(server.url, target);
  await publish(
    server.url,
    Array.from({ length: 50 }, (_, i) => ({ topic: i % 3 ? "events" : "orders", data: { i } })),
  );
  const ids = (await lines.recordsUpTo(52)).map(({ id }) => id ?? "");
  expect((await plain.recordsUpTo(52)).map(({ id }) => id)).toEqual(ids);
  expect((await wrapped.recordsUpTo(52)).map(({ id }) => id)).toEqual(ids);
  const payloads = lines.records.slice(2).map(({ payload }) => payload);
  expect(payloads).toEqual(Array.from({ length: 50 }, (_, i) => ({ i })));
  expect(plain.records.slice(2).map(({ data }) => JSON.parse(data) as unknown)).toEqual(payloads);
});

test("types, keys and targets choose lines as they choose events", async () => {
  await using lines = await LineReader.live(
    server.url,
    "/events?types=chosen*&keys=k&channels=news&userId=ann",
  );
  await publish(server.url, [
    { type: "chosen.1", key: "k", data: 1 },
    { type: "chosen.1", key: "other", data: 2 },
    { type: "other", key: "k", data: 3 },
    { type: "chosen", key: "k", data: 4, to: { channel: "news" } },
    { type: "chosen", key: "k", data: 5, to: { channel: "sport" } },
    { type: "chosen", key: "k", data: 6, to: { user: "ann" } },
    { type: "chosen", key: "k", data: 7 },
  ]);
  const found = await lines.recordsUpTo(4);
  expect(found.map(({ payload }) => payload)).toEqual([1, 4, 6, 7]);
  // Whom it was for is not shown.
  expect(found[2]?.headers).toEqual({ type: "chosen" });
});

test("A20 numbers keep their digits", async () => {
  await using lines = await LineReader.live(server.url);
  const data = '{"n":9007199254740993,"m":-1.50,"e":1E400}';
  await publish(server.url, `{"data":${data}}`);
  await lines.recordsUpTo(1);
  expect(lines.texts.at(-1)).toInclude(`"payload":${data}`);
});

test("A5 A11 A13 any value and any key stay on one line, and are what was written", async () => {
  const bytes = fc.oneof(
    fc.json().map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(text.replaceAll(",", "\r\n,\n"))),
    fc.string({ unit: "binary" }).map((text) => Buffer.from(text.toWellFormed())),
    fc
      .constantFrom("a\nb", "\r", "\n\n", '"', "{", "\u2028\uFEFF", "", "\0")
      .map((text) => Buffer.from(text)),
    fc.uint8Array().map((value) => Buffer.from(value)),
  );
  await using lines = await LineReader.live(server.url);
  await fc.assert(
    fc.asyncProperty(bytes, fc.option(bytes), async (value, key) => {
      const before = lines.records.length;
      await publishBytes(value, key);
      const line = (await lines.recordsUpTo(before + 1))[before];
      const shownKey = key && (isUtf8(key) ? key.toString() : { base64: key.toString("base64") });
      expect(line?.key).toEqual(shownKey);
      if (!isUtf8(value) || value.includes(0)) {
        expect(line).toMatchObject({ payload: value.toString("base64"), encoding: "base64" });
      } else {
        expect(line?.payload).toEqual(jsonOrText(value.toString()));
        expect(line).not.toHaveProperty("encoding");
      }
    }),
    { numRuns: runs(60) },
  );
});

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

test("a tombstone without a key and a record that cannot be shown are lines too", async () => {
  using directory = temporaryDirectory();
  {
    using log = new EventLog({ path: join(directory.path, "embedded.db"), durable: true });
    log.append([
      { kind: "topic", topic: "events", tag: "t", offsets: [0] },
      {
        kind: "skipped",
        topic: "events",
        partition: 0,
        offset: 0,
        timestampMs: 1,
        key: null,
        headers: [],
        reason: "too-large",
      },
    ]);
  }
  await using own = await startLocalServer({ DATA_DIR: directory.path });
  await using lines = await LineReader.live(own.url, "/events?since=earliest");
  expect(lines.lines[1]).toEqual({
    id: "1~events~t~1",
    event: "skipped",
    data: { topic: "events", partition: 0, offset: 0, reason: "too-large" },
  });
  expect(lines.named("live")[0]?.data).toEqual({ replayed: 1 });
  await own.headgate.publishRecords([{ topic: "events", key: null, value: null, headers: [] }]);
  expect((await lines.recordsUpTo(1))[0]).toMatchObject({ key: null, payload: null });
});

test("a stream's end is a line: close, and a resume goes on behind it", async () => {
  await using own = await startLocalServer({
    SSE_MAX_CONNECTION_AGE: "300",
    SSE_CLEANUP_INTERVAL: "20",
  });
  await using aged = await LineReader.live(own.url);
  await publish(own.url, { data: 1 });
  await aged.ended();
  expect(aged.failure).toBeUndefined();
  expect(aged.rest).toBe("");
  expect(aged.lines.at(-1)).toEqual({
    event: "close",
    id: aged.records[0]?.id,
    data: { reason: "max-age", reconnect: true },
  });
  await publish(own.url, { data: 2 });
  await using resumed = await LineReader.live(own.url, "/events", {
    lastEventId: aged.lastEventId,
  });
  expect(resumed.records).toMatchObject([{ payload: 2 }]);
});

test("a server that stops says so in a line, and sheds who comes then with a status", async () => {
  await using own = await startLocalServer({ SHUTDOWN_GRACE: "1500" });
  await using lines = await LineReader.live(own.url);
  const stopped = own.headgate.stop();
  const late = await fetch(`${own.url}/events`, { headers: { Accept: NDJSON } });
  expect(late.status).toBe(503);
  expect(Number(late.headers.get("retry-after"))).toBeWithin(5, 16);
  await lines.ended();
  expect(lines.lines.at(-1)).toMatchObject({
    event: "close",
    data: { reason: "shutdown", reconnect: true },
  });
  expect(lines.rest).toBe("");
  await stopped;
});

test("E2 a reader that takes nothing for a while gets every line whole, in order, each once", async () => {
  await using own = await startLocalServer();
  const batch = (from: number, length: number): object[] =>
    Array.from({ length }, (_, i) => ({ data: { n: from + i, text: "ä".repeat(20_000) } }));
  await publish(own.url, [...batch(0, 10), { data: { n: 10, text: "x".repeat(200_000) } }]);
  await using peer = await RawPeer.subscribe(
    own.port,
    "/events?since=earliest",
    `Accept: ${NDJSON}\r\n`,
  );
  peer.socket.pause();
  for (let from = 11; from < 91; from += 16) await publish(own.url, batch(from, 16));
  expect((await own.headgate.connections()).connections[0]?.lag).toBeGreaterThan(0);
  peer.socket.resume();
  await peer.stream.until(() => peer.body.endsWith("\n") && peer.body.includes('"n":90,'));
  const lines = peer.body.trimEnd().split("\n");
  const records = lines
    .map((line) => JSON.parse(line) as { id: string; event?: string; payload: { n: number } })
    .filter(({ event }) => event === undefined);
  expect(records.map(({ payload }) => payload.n)).toEqual(Array.from({ length: 91 }, (_, i) => i));
  expect(records.map(({ id }) => Number(id.split("~").at(-1)))).toEqual(
    records.map((_, i) => i + 1),
  );
});

test("E2 who falls out of the log is told in a line that it lagged, and goes on from there", async () => {
  await using own = await startLocalServer({ DATA_MAX_BYTES: "1MiB" });
  await using peer = await RawPeer.subscribe(own.port, "/events", `Accept: ${NDJSON}\r\n`);
  await peer.stream.until(() => peer.body.includes('"live"'));
  peer.socket.pause();
  const data = "x".repeat(50_000);
  for (let i = 0; i < 10; i += 1) {
    await publish(
      own.url,
      Array.from({ length: 10 }, () => ({ data })),
    );
  }
  await publish(own.url, { data: "last" });
  // Retention lets go of the first ones, which the reader does not have yet.
  await until(async () => (await fetch(`${own.url}/events/events/0/70`)).status === 404);
  peer.socket.resume();
  await peer.stream.until(() => peer.body.includes('"payload":"last"}\n'));
  const lines = peer.body
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const at = lines.findIndex(({ event }) => event === "reset");
  expect(lines[at]).toMatchObject({ data: { reason: "lagged", topics: ["events"] } });
  const offsets = lines.slice(at + 1).flatMap(({ offset }) => (offset === undefined ? [] : offset));
  const floor = Number(String(lines[at]?.id).split("~").at(-1));
  expect(offsets).toEqual(Array.from({ length: 101 - floor }, (_, i) => floor + i));
});
