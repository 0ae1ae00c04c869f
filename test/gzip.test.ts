import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { bearer, startJwtServer } from "./support/callers.ts";
import { until } from "./support/feed.ts";
import { GzipReader } from "./support/gzip-reader.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, metric, publish, startLocalServer } from "./support/server.ts";

setDefaultTimeout(20_000);

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ SSE_UPDATE_INTERVAL: "100" });
});

afterAll(() => server[Symbol.asyncDispose]());

/** Text that compresses to three quarters at best, so that much of it is much on the wire too. */
const noise = (bytes: number): string => randomBytes((bytes * 3) / 4).toString("base64");

/** A stream's text without what is each stream's own. */
function comparable(text: string): string {
  return text
    .replaceAll(/retry: ?\d+/g, "retry:")
    .replaceAll(/"clientId":"[^"]*","timestamp":"[^"]*"/g, "");
}

test.each([
  ["events", "/events", "text/event-stream"],
  ["events after a replay", "/stream", "text/event-stream"],
  ["envelopes", "/events?envelope=true", "*/*"],
  ["lines of JSON", "/events?recent=5", "application/x-ndjson"],
])(
  "B19 %s, decoded, are byte for byte those of a stream without compression",
  async (_, target, accept) => {
    await publish(server.url, { data: "before both" });
    const headers = { Accept: accept };
    await using zipped = await GzipReader.open(server.port, target, { headers });
    await using plain = await RawPeer.subscribe(server.port, target, `Accept: ${accept}\r\n`);
    const bothHave = async (text: string): Promise<void> => {
      await zipped.until(() => zipped.text.includes(text));
      await plain.stream.until(() => plain.body.includes(text));
    };
    await bothHave('"replayed"');
    const last = crypto.randomUUID();
    for (const data of ["short", { a: "long ".repeat(200) }, noise(3000), noise(90_000), last]) {
      await publish(server.url, { type: "some", data });
    }
    await bothHave(last);
    expect(zipped.head).toInclude("content-encoding: gzip");
    expect(plain.head.toLowerCase()).not.toInclude("content-encoding");
    expect(comparable(zipped.text)).toBe(comparable(plain.body));
    expect(zipped.wireBytes).toBeLessThan(plain.body.length);
  },
);

test("B19 no event is held back: each is decoded before the next one is published", async () => {
  await using subscriber = await GzipReader.live(server.port);
  for (let i = 1; i <= 50; i += 1) {
    // Some are stored as they are, some are deflated.
    await publish(server.url, { data: { n: i, text: "word ".repeat(i % 7 === 0 ? 500 : i % 3) } });
    await subscriber.recordsUpTo(i);
  }
  expect(subscriber.records.map(({ data }) => (JSON.parse(data) as { n: number }).n)).toEqual(
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
});

test("B19 a stream that comes back with the last id it decoded gets exactly the rest", async () => {
  await using first = await GzipReader.live(server.port);
  await publish(server.url, { data: "seen" });
  await first.recordsUpTo(1);
  first.socket.destroy();
  await publish(server.url, [{ data: "missed" }, { data: noise(100_000) }]);
  const headers = { "Last-Event-ID": first.lastEventId };
  await using second = await GzipReader.live(server.port, "/events", { headers });
  expect(second.records.length).toBe(2);
  expect(second.records[0]?.data).toBe('"missed"');
});

test("B19 a reader that is slow and pushes back gets large events whole, and all of them", async () => {
  await using slow = await startLocalServer({ SHUTDOWN_GRACE: "300" });
  await using subscriber = await GzipReader.live(slow.port);
  subscriber.socket.pause();
  const sizes = [66_000, 250_000, 100, 131_072, 20_000];
  const sent = Array.from({ length: 25 }, (_, i) => noise(sizes[i % sizes.length] ?? 0));
  for (const data of sent) expect((await publish(slow.url, { data })).status).toBe(200);
  // The kernel holds no more of it.
  expect(await metric(slow.url, "sse_events_sent_total")).toBeLessThan(sent.length);
  const step = setInterval(() => {
    subscriber.socket.resume();
    subscriber.socket.once("data", () => subscriber.socket.pause());
  }, 5);
  await subscriber.recordsUpTo(5);
  clearInterval(step);
  subscriber.socket.resume();
  await subscriber.recordsUpTo(sent.length);
  expect(subscriber.records.map(({ data }) => data)).toEqual(sent.map((one) => `"${one}"`));
  await slow.headgate.stop();
  await subscriber.ended();
  expect(subscriber.failure).toBeUndefined();
  expect(subscriber.hasRightTrailer).toBe(true);
});

test("B19 a stream that the server closes when it stops ends with a right trailer of its own", async () => {
  await using stopping = await startLocalServer({ SHUTDOWN_GRACE: "300" });
  await using early = await GzipReader.live(stopping.port);
  await publish(stopping.url, { data: "for one" });
  await early.recordsUpTo(1);
  await using late = await GzipReader.live(stopping.port);
  await using lines = await GzipReader.open(stopping.port, "/events", {
    headers: { Accept: "application/x-ndjson" },
  });
  await publish(stopping.url, { data: "for all" });
  await early.recordsUpTo(2);
  await late.recordsUpTo(1);
  await stopping.headgate.stop();
  for (const stream of [early, late, lines]) {
    await stream.ended();
    expect(stream.failure).toBeUndefined();
    expect(stream.hasRightTrailer).toBe(true);
  }
  expect(early.events.at(-1)?.event).toBe("close");
  expect(lines.text).toEndWith('"data":{"reason":"shutdown","reconnect":true}}\n');
});

test.concurrent("B19 a stream whose token expires ends with close and a right trailer", async () => {
  await using guarded = await startJwtServer({ SSE_CLEANUP_INTERVAL: "20" });
  const exp = (Date.now() + 1000) / 1000;
  const headers = bearer({ subscribe: ["*"] }, { exp });
  await using subscriber = await GzipReader.live(guarded.port, "/events", { headers });
  await subscriber.ended();
  expect(subscriber.events.at(-1)?.data).toInclude("token-expired");
  expect(subscriber.failure).toBeUndefined();
  expect(subscriber.hasRightTrailer).toBe(true);
});

test("B19 a reader that stalls is cut without a trailer, so that its decoder knows", async () => {
  await using impatient = await startLocalServer({ SSE_MAX_STALL: "300" });
  await using stalled = await GzipReader.live(impatient.port);
  stalled.socket.pause();
  for (let i = 0; i < 40; i += 1) await publish(impatient.url, { data: noise(200_000) });
  const name = 'sse_streams_closed_total{reason="stalled"}';
  await until(async () => (await metric(impatient.url, name)) === 1);
  stalled.socket.resume();
  await stalled.ended();
  expect(stalled.failure?.message).toInclude("unexpected end");
  expect(stalled.named("close")).toEqual([]);
});

test("B19 the dashboard's stream is compressed as well, and each update comes by itself", async () => {
  await using watcher = await GzipReader.open(server.port, "/stream/dashboard");
  expect(watcher.head).toInclude("content-encoding: gzip");
  await watcher.until(() => watcher.named("dashboard-update").length >= 2);
  for (const { data } of watcher.named("dashboard-update")) expect(JSON.parse(data)).toBeObject();
  expect(watcher.wireBytes).toBeLessThan(watcher.text.length / 2);
});

/** The headers of a stream, which is then left; and those of HEAD. */
async function headersOf(
  { url }: LocalServer,
  target: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ get: Headers; head: Headers }> {
  const abort = new AbortController();
  const all = { Connection: "close", ...headers };
  const get = await fetch(`${url}${target}`, { headers: all, signal: abort.signal });
  abort.abort();
  const head = await fetch(`${url}${target}`, { headers: all, method: "HEAD" });
  return { get: get.headers, head: head.headers };
}

describe.each(["/events", "/stream", "/stream/dashboard"])("B19 of %s", (target) => {
  test.each([
    ["gzip", "gzip"],
    ["x-gzip", "gzip"],
    ["br, gzip;q=0.5", "gzip"],
    ["*", "gzip"],
    ["gzip;q=0", null],
    ["gzip;q=0, *", null],
    ["identity", null],
    ["br", null],
    ["", null],
  ])(
    "with Accept-Encoding %j the content encoding is %j, and HEAD says the same",
    async (...row) => {
      const [encoding, expected] = row;
      const { get, head } = await headersOf(server, target, { "Accept-Encoding": encoding });
      for (const headers of [get, head]) {
        expect(headers.get("content-encoding")).toBe(expected);
        expect(headers.get("vary")).toBe("Accept, Accept-Encoding");
        expect(headers.get("cache-control")).toBe("no-cache, no-transform");
      }
    },
  );
});

test("B19 without Accept-Encoding nothing is compressed", async () => {
  await using peer = await RawPeer.subscribe(server.port);
  await peer.stream.first("live");
  expect(peer.head.toLowerCase()).not.toInclude("content-encoding");
});

test("B19 with SSE_COMPRESSION=false nothing is compressed, whoever asks", async () => {
  await using uncompressed = await startLocalServer({ SSE_COMPRESSION: "false" });
  const { get, head } = await headersOf(uncompressed, "/events", { "Accept-Encoding": "gzip" });
  expect([get.get("content-encoding"), head.get("content-encoding")]).toEqual([null, null]);
  await using peer = await RawPeer.subscribe(
    uncompressed.port,
    "/events",
    "Accept-Encoding: gzip\r\n",
  );
  await publish(uncompressed.url, { data: "plain" });
  expect((await peer.stream.recordsUpTo(1))[0]?.data).toBe('"plain"');
});

test("B19 a stream that is turned away at the door is as it is for everybody", async () => {
  await using full = await startLocalServer({ SSE_MAX_CONNECTIONS: "1" });
  await using _ = await GzipReader.live(full.port);
  const headers = "Accept-Encoding: gzip\r\nAccept: text/event-stream\r\n";
  await using second = await RawPeer.subscribe(full.port, "/events", headers);
  expect((await second.stream.first("close")).data).toInclude("overloaded");
  expect(second.head.toLowerCase()).not.toInclude("content-encoding");
});
