import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Headgate } from "../src/headgate.ts";
import { until } from "./support/feed.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, metric, startLocalServer, storedUpTo } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { refusal } from "./support/tokens.ts";

setDefaultTimeout(20_000);

let server: LocalServer;
let headgate: Headgate;

beforeAll(async () => {
  server = await startLocalServer({
    KAFKA_TOPICS: "events,orders",
    SSE_DEFAULT_TOPIC: "orders",
    SSE_MAX_EVENT_BYTES: "10000",
    SSE_HEARTBEAT_INTERVAL: "100",
  });
  ({ headgate } = server);
});

afterAll(() => server[Symbol.asyncDispose]());

const open = (query: string): Promise<TestSubscriber> =>
  TestSubscriber.live(server.url, `/events?${query}`);

test("publish resolves with where each event lies, in the order given, and whom all of them reach", async () => {
  await using both = await open("");
  await using events = await open("topics=events&envelope=true");
  const one = await headgate.publish({ data: { n: 1 } });
  const next = (one.events[0]?.offset ?? Number.NaN) + 1;
  expect(one).toEqual({
    published: 1,
    events: [{ topic: "orders", partition: 0, offset: next - 1 }],
    receivers: 1,
  });
  const many = await headgate.publish([
    { topic: "events", type: "a", key: "k", data: "text", headers: { trace: "t" } },
    { data: [1.5, null] },
    { topic: "events", key: "k", data: null },
  ]);
  expect(many).toMatchObject({ published: 3, receivers: 2 });
  expect(many).not.toHaveProperty("duplicate");
  expect(many.events.map(({ topic }) => topic)).toEqual(["events", "orders", "events"]);
  expect(many.events[1]).toEqual({ topic: "orders", partition: 0, offset: next });
  expect((await both.recordsUpTo(4)).map(({ event, data }) => [event, data])).toEqual([
    ["message", '{"n":1}'],
    ["a", '"text"'],
    ["message", "[1.5,null]"],
    ["delete", '"k"'],
  ]);
  const [first] = await events.recordsUpTo(2);
  expect(JSON.parse(first?.data ?? "")).toMatchObject({
    key: "k",
    headers: { type: "a", trace: "t" },
    payload: "text",
  });
});

test.each([
  ["invalid-body", {}],
  ["invalid-body", { data: undefined }],
  ["invalid-body", { data: () => 1 }],
  ["invalid-body", { data: 1, more: 1 }],
  ["invalid-body", { data: 1, to: { everybody: "x" } }],
  ["invalid-event", { data: 1, type: "a\nb" }],
  ["invalid-event", { data: 1, type: "heartbeat" }],
  ["invalid-event", { data: 1, headers: { "headgate-user": "ann" } }],
  ["topic-not-found", { data: 1, topic: "nothing" }],
  ["too-large", { data: "x".repeat(10_001) }],
])("D6 what is %s is refused before anything is sent (%#)", async (code, bad) => {
  const status = (): Promise<string> => storedUpTo(server.url);
  const before = await status();
  // The cast holds: JavaScript's callers have no types.
  const event = bad as { data: unknown };
  expect((await refusal(() => headgate.publish([{ data: 1 }, event]))).code).toBe(code as never);
  expect((await refusal(() => headgate.publish(event))).code).toBe(code as never);
  expect(await status()).toBe(before);
});

test("data that is no JSON is refused, and a Date is what JSON makes of it", async () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  for (const data of [loop, 10n, Symbol("x")]) {
    expect((await refusal(() => headgate.broadcast(data))).code).toBe("invalid-body");
  }
  await using subscriber = await open("");
  await headgate.broadcast({ at: new Date(0), left: undefined });
  expect((await subscriber.recordsUpTo(1))[0]?.data).toBe('{"at":"1970-01-01T00:00:00.000Z"}');
});

test("D8 a publish with an idempotencyKey can be repeated: the first one's places come back", async () => {
  await using subscriber = await open("");
  const events = [{ data: 1 }, { topic: "events", data: 2 }];
  const first = await headgate.publish(events, { idempotencyKey: "order-7" });
  const again = await headgate.publish(events, { idempotencyKey: "order-7" });
  expect(first).not.toHaveProperty("duplicate");
  expect(again).toEqual({ ...first, duplicate: true });
  await headgate.publish({ data: "end" });
  expect((await subscriber.recordsUpTo(3)).map(({ data }) => data)).toEqual(["1", "2", '"end"']);
  for (const idempotencyKey of ["", "x".repeat(129), "a\nb", "ä"]) {
    const { code } = await refusal(() => headgate.publish({ data: 1 }, { idempotencyKey }));
    expect(code).toBe("invalid-parameter");
  }
});

test("the numbers that sending resolves with are the streams that get the event, here and now", async () => {
  await using phone = await open("userId=ann&clientId=phone&channels=news,sport");
  await using tablet = await open("userId=ann&clientId=tablet");
  await using bob = await open("userId=bob&channels=news");
  await using filtered = await open("userId=ann&types=other&channels=news");
  await using elsewhere = await open("userId=ann&topics=events");
  const type = { type: "greeting" };
  expect(await headgate.broadcast(1, type)).toBe(3);
  expect(await headgate.sendToUser("ann", 2, type)).toBe(2);
  expect(await headgate.sendToUser("ann", 3, { type: "other", topic: "events" })).toBe(4);
  expect(await headgate.sendToUser("nobody", 4)).toBe(0);
  expect(await headgate.sendToUser("Ann", 4)).toBe(0);
  expect(await headgate.sendToClient("phone", 5, type)).toBe(1);
  expect(await headgate.sendToClient("none", 5)).toBe(0);
  expect(await headgate.sendToChannel("news", 6, type)).toBe(2);
  expect(await headgate.sendToChannel("sport", 7, { key: "k", headers: { a: "b" } })).toBe(1);
  expect(await headgate.sendToChannel("none", 8)).toBe(0);
  expect(await headgate.broadcast(9, { type: "other" })).toBe(4);
  const seen = async (subscriber: TestSubscriber, last: string): Promise<string> => {
    await subscriber.until(() => subscriber.records.at(-1)?.data === last);
    return subscriber.records.map(({ data }) => data).join("");
  };
  expect(await seen(phone, "9")).toBe("1235679");
  expect(await seen(tablet, "9")).toBe("1239");
  expect(await seen(bob, "9")).toBe("169");
  expect(await seen(filtered, "9")).toBe("39");
  expect(await seen(elsewhere, "3")).toBe("3");
  await tablet.cut();
  await until(async () => (await headgate.connections()).total === 4);
  expect(await headgate.sendToUser("ann", "end", type)).toBe(1);
});

test("headers go with an event as metadata; whom it is for does not show", async () => {
  await using ann = await open("userId=ann&envelope=true");
  await headgate.sendToUser("ann", 1, { key: "k", headers: { trace: "t-1", "x-Ä": "ü" } });
  expect(JSON.parse((await ann.recordsUpTo(1))[0]?.data ?? "")).toMatchObject({
    key: "k",
    headers: { trace: "t-1", "x-Ä": "ü" },
  });
});

test("a notification is sent to whom it names, and resolves as publish does", async () => {
  await using ann = await open("userId=ann&envelope=true");
  await using others = await open("userId=bob");
  const result = await headgate.sendPaymentNotification(
    "p-1",
    "completed",
    { amount: 12.5, currency: "EUR" },
    "user",
    "ann",
    { trace: "t-2" },
  );
  expect(result).toMatchObject({ published: 1, receivers: 1 });
  const [seen] = await ann.recordsUpTo(1);
  expect(seen?.event).toBe("payment:completed");
  expect(JSON.parse(seen?.data ?? "")).toMatchObject({
    key: "p-1",
    headers: { type: "payment:completed", trace: "t-2" },
    payload: { paymentId: "p-1", status: "completed", amount: 12.5, timestamp: expect.any(String) },
  });
  const all = await headgate.sendJobNotification("j-1", "queued", {}, "all");
  expect(all.receivers).toBe(2);
  expect((await others.recordsUpTo(1)).map(({ event }) => event)).toEqual(["job:queued"]);
  const bad = refusal(() => headgate.sendJobNotification("j-1", "done" as "queued", {}, "all"));
  expect((await bad).code).toBe("invalid-body");
});

test("records of any bytes can be published, of which only the size and the topic are looked at", async () => {
  await using subscriber = await open("topics=events");
  const value = Buffer.from([0xff, 0x00]);
  const headers = [["type", Buffer.from("raw")]] as const;
  await headgate.publishRecords([{ topic: "events", key: null, value, headers }]);
  expect((await subscriber.recordsUpTo(1))[0]).toMatchObject({ event: "raw", data: "/wA=" });
  const large = { topic: "events", key: null, value: Buffer.alloc(10_001), headers: [] };
  expect((await refusal(() => headgate.publishRecords([large]))).code).toBe("too-large");
});

test("connections tells who is there, since when, for what, and how far behind", async () => {
  await until(async () => (await headgate.connections()).total === 0);
  const startedMs = Date.now();
  expect(await headgate.connections()).toEqual({ total: 0, activeUsers: 0, connections: [] });
  await using ann = await open("userId=ann&username=Ann%20B&clientId=phone&channels=news");
  await using ann2 = await open("userId=ann&topics=orders");
  await using nobody = await open("");
  const { total, activeUsers, connections } = await headgate.connections();
  expect([total, activeUsers]).toEqual([3, 1]);
  expect(await metric(server.url, "sse_connected_clients")).toBe(3);
  expect(connections[0]).toEqual({
    clientId: "phone",
    user: "ann",
    username: "Ann B",
    connectedSince: expect.any(Date),
    lastActivity: expect.any(Date),
    topics: ["events", "orders"],
    channels: ["news"],
    lag: 0,
  });
  expect(connections[1]).toMatchObject({ user: "ann", username: undefined, topics: ["orders"] });
  expect(connections[2]).toMatchObject({ user: undefined, channels: [], lag: 0 });
  const since = connections[0]?.connectedSince.getTime() ?? 0;
  // Two clocks, which may differ by a rounding.
  expect(since).toBeWithin(startedMs - 5, Date.now() + 5);
  for (const stream of [ann, ann2, nobody]) await stream.first("heartbeat");
  const later = (await headgate.connections()).connections[0];
  expect(later?.connectedSince.getTime()).toBeWithin(since - 2, since + 3);
  expect(later?.lastActivity.getTime()).toBeGreaterThan(since + 50);
  await ann.cut();
  await until(async () => (await headgate.connections()).total === 2);
  expect((await headgate.connections()).activeUsers).toBe(1);
});

test("E2 a reader that takes nothing is behind by what came since; who reads on is not", async () => {
  await until(async () => (await headgate.connections()).total === 0);
  await using peer = await RawPeer.subscribe(server.port, "/events?clientId=slow");
  await using quick = await open("clientId=quick");
  await peer.stream.first("live");
  peer.socket.pause();
  const lagOf = async (clientId: string): Promise<number | undefined> =>
    (await headgate.connections()).connections.find((each) => each.clientId === clientId)?.lag;
  const activityOf = async (): Promise<number> =>
    (await headgate.connections()).connections[0]?.lastActivity.getTime() ?? Number.NaN;
  let activity = await activityOf();
  let sent = 0;
  for (; ((await lagOf("slow")) ?? 0) === 0; sent += 10) {
    await headgate.publish(Array.from({ length: 10 }, () => ({ data: "x".repeat(9000) })));
    await quick.recordsUpTo(sent + 10);
    // What went to it when it was live went to it: time never goes back. A rounding is allowed for.
    expect(await activityOf()).toBeGreaterThanOrEqual(activity - 1);
    activity = await activityOf();
  }
  const behind = (await lagOf("slow")) ?? 0;
  expect(behind).toBeWithin(1, sent + 1);
  await headgate.publish([{ data: 1 }, { data: 2 }]);
  expect(await lagOf("slow")).toBe(behind + 2);
  await quick.recordsUpTo(sent + 2);
  expect(await lagOf("quick")).toBe(0);
  peer.socket.resume();
  await peer.stream.recordsUpTo(sent + 2);
  await until(async () => (await lagOf("slow")) === 0);
});
