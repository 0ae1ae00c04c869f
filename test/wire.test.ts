import { afterAll, beforeAll, expect, test } from "bun:test";
import type { OutgoingRecord } from "../src/log/publisher.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish, startLocalServer, storedUpTo } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer();
});

afterAll(() => server[Symbol.asyncDispose]());

/** As another producer would write it to the topic: past every check of the publish endpoint. */
function inject(record: Partial<OutgoingRecord>): Promise<unknown> {
  return server.headgate.publishRecords([
    { topic: "events", key: null, value: Buffer.from("x"), headers: [], ...record },
  ]);
}

test.each([
  ["A1", { type: "x\ndata: evil" }],
  ["A2", { type: "x\r" }],
  ["A3", { type: "x\0" }],
  ["A3", { key: "k\0" }],
  ["A4", { type: "x\u007F" }],
  ["A4", { type: "x\u0085" }],
  ["A15", { type: "heartbeat" }],
  ["A17", { headers: { type: "x" } }],
  ["A17", { headers: { "headgate-user": "x" } }],
  ["A17", { to: { user: "a\r" } }],
])("%s the publish of %j is 422, and nothing is stored", async (_, fields) => {
  const before = await storedUpTo(server.url);
  const response = await publish(server.url, [{ data: 1 }, { data: 2, ...fields }]);
  expect(response.status).toBe(422);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.json()).toMatchObject({ type: "/errors/invalid-event", status: 422 });
  expect(await storedUpTo(server.url)).toBe(before);
});

test("A9 a body of 5 MB is 413 with a problem, at once, and the server goes on", async () => {
  const response = await publish(server.url, { data: "x".repeat(5_000_000) });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ type: "/errors/too-large", status: 413 });
  expect((await publish(server.url, { data: 1 })).status).toBe(200);
});

test("A9 an event above the limit is 413, though the body is not, and names its place", async () => {
  const response = await publish(server.url, [{ data: 1 }, { data: "x".repeat(300_000) }]);
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ type: "/errors/too-large", pointer: "/1" });
});

test("A5 A6 A7 A8 A18 texts of all sorts arrive live and from the log as they were", async () => {
  const texts = [
    "a\rb\r\nc\nd",
    "",
    "x\n\n",
    " x",
    ":x",
    "\uFEFFx",
    "€𝄞".repeat(30_000),
    "data: x",
  ];
  await using live = await TestSubscriber.live(server.url);
  for (const text of texts) await inject({ value: Buffer.from(text) });
  const expected = texts.map((text) => text.replaceAll(/\r\n|\r/g, "\n"));
  const data = (await live.recordsUpTo(texts.length)).map((event) => event.data);
  expect(data).toEqual(expected);
  await using replayed = await TestSubscriber.live(server.url, `/events?recent=${texts.length}`);
  expect(replayed.records.map((event) => event.data)).toEqual(expected);
  expect(replayed.oddities).toEqual([]);
});

test("A18 a multi-byte character that is cut over two reads is put together by the client", async () => {
  await using peer = await RawPeer.subscribe(server.port);
  await peer.stream.first("live");
  await inject({ value: Buffer.from("€".repeat(30_000)) });
  const [event] = await peer.stream.recordsUpTo(1);
  expect(event?.data).toBe("€".repeat(30_000));
});

test("A10 a lone surrogate in JSON stays an escape on the wire", async () => {
  await using live = await TestSubscriber.live(server.url);
  expect((await publish(server.url, '{"data":"\\ud800"}')).status).toBe(200);
  const [event] = await live.recordsUpTo(1);
  expect(event?.data).toBe('"\\ud800"');
});

test("A11 A12 A13 binary values, hostile headers and keys break no frame, plain or in an envelope", async () => {
  await using plain = await TestSubscriber.live(server.url);
  await using envelopes = await TestSubscriber.live(server.url, "/events?envelope=true");
  const hostile = Buffer.from("a\r\n\r\nevent: close\ndata: x\r");
  const records: Partial<OutgoingRecord>[] = [
    { value: Uint8Array.of(0xff, 0xfe) },
    { value: Uint8Array.of(0, 0, 0, 0, 7, 1) },
    { key: hostile, headers: [[hostile.toString(), hostile]] },
    { headers: [["type", hostile]] },
    { headers: [["type", Uint8Array.of(0xff)]], key: Uint8Array.of(0xff) },
    { value: null, key: hostile },
  ];
  for (const record of records) await inject(record);
  const seen = await plain.recordsUpTo(records.length);
  expect(seen.map(({ event }) => event)).toEqual([
    "binary",
    "binary",
    "message",
    "message",
    "message",
    "delete",
  ]);
  expect(seen[0]?.data).toBe("//4=");
  expect(JSON.parse(seen[5]?.data ?? "")).toBe(hostile.toString());
  const wrapped = await envelopes.recordsUpTo(records.length);
  expect(JSON.parse(wrapped[0]?.data ?? "")).toMatchObject({ payload: "//4=", encoding: "base64" });
  expect(JSON.parse(wrapped[2]?.data ?? "")).toMatchObject({
    key: hostile.toString(),
    headers: { [hostile.toString()]: hostile.toString() },
  });
  expect(JSON.parse(wrapped[4]?.data ?? "")).toMatchObject({ key: { base64: "/w==" } });
  expect([...plain.oddities, ...envelopes.oddities]).toEqual([]);
});

test("A14 a tombstone is a delete with an id, live, in a replay and when it is looked up", async () => {
  await using live = await TestSubscriber.live(server.url);
  const response = await publish(server.url, { key: "order-1", data: null });
  const { events } = (await response.json()) as { events: { offset: number }[] };
  const [event] = await live.recordsUpTo(1);
  expect(event).toMatchObject({ event: "delete", data: '"order-1"' });
  expect(event?.id).toEndWith(`~${(events[0]?.offset ?? 0) + 1}`);
  const found = await fetch(`${server.url}/events/events/0/${events[0]?.offset}`);
  expect(await found.json()).toMatchObject({ key: "order-1", payload: null });
});

test("A19 a stream cut in the middle of an event gets it again, whole, from the id before", async () => {
  await using first = await TestSubscriber.live(server.url);
  await publish(server.url, { data: "one" });
  await first.recordsUpTo(1);
  await first.cut();
  const large = "y".repeat(200_000);
  await publish(server.url, { data: large });
  await publish(server.url, { data: "three" });
  await using torn = await RawPeer.subscribe(
    server.port,
    "/events",
    `Last-Event-ID: ${first.lastEventId}\r\n`,
  );
  await torn.stream.until(() => torn.body.length > 70_000);
  torn.socket.destroy();
  const lastEventId = torn.stream.lastEventId || first.lastEventId;
  await using resumed = await TestSubscriber.live(server.url, "/events", { lastEventId });
  const all = [...torn.stream.records, ...resumed.records].map(({ data }) => data);
  expect(all).toEqual([JSON.stringify(large), '"three"']);
});

test("A20 numbers beyond 2^53 keep their digits through the publish, the stream and the envelope", async () => {
  await using plain = await TestSubscriber.live(server.url);
  await using envelopes = await TestSubscriber.live(server.url, "/events?envelope=true");
  const data = '{"id":9007199254740993,"price":1.10}';
  await publish(server.url, `{"data":${data}}`);
  expect((await plain.recordsUpTo(1))[0]?.data).toBe(data);
  expect((await envelopes.recordsUpTo(1))[0]?.data).toContain(`"payload":${data}`);
});

test("A20 an offset beyond 2^53 in an id is refused, not rounded", async () => {
  const id = "1~events~a~9007199254740993";
  await using subscriber = await TestSubscriber.live(server.url, "/events", { lastEventId: id });
  const [reset] = subscriber.named("reset");
  expect(JSON.parse(reset?.data ?? "")).toMatchObject({ reason: "malformed", requested: id });
});

test("A4 types with U+2028 and U+FEFF arrive as they are", async () => {
  await using live = await TestSubscriber.live(server.url);
  expect((await publish(server.url, { type: "a\u2028\uFEFF", data: 1 })).status).toBe(200);
  expect((await live.recordsUpTo(1))[0]?.event).toBe("a\u2028\uFEFF");
});

test("the payload that other servers send by default flows through unchanged", async () => {
  await using live = await TestSubscriber.live(server.url);
  const data = { payload: { date: 1_704_672_000_000, times: 42 } };
  await server.headgate.broadcast(data);
  expect(JSON.parse((await live.recordsUpTo(1))[0]?.data ?? "")).toEqual(data);
});
