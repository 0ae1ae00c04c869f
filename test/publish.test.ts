import { afterAll, beforeAll, expect, test } from "bun:test";
import { RawPeer } from "./support/peers.ts";
import {
  type LocalServer,
  metric,
  publish,
  startLocalServer,
  storedUpTo,
} from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({
    KAFKA_TOPICS: "events,orders",
    ALLOWED_HOSTS: "events.example",
  });
});

afterAll(() => server[Symbol.asyncDispose]());

test("one event is published with its coordinates and the number that it reaches", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=orders");
  const response = await publish(server.url, {
    topic: "orders",
    type: "order.created",
    key: "o-1",
    data: { total: 12.5 },
    headers: { trace: "t-1" },
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({
    published: 1,
    events: [{ topic: "orders", partition: 0, offset: 0 }],
    receivers: 1,
  });
  expect((await subscriber.recordsUpTo(1))[0]).toMatchObject({
    event: "order.created",
    data: '{"total":12.5}',
  });
  const found = await fetch(`${server.url}/events/orders/0/0`);
  expect(await found.json()).toMatchObject({
    key: "o-1",
    tstype: "create",
    headers: { type: "order.created", trace: "t-1" },
    payload: { total: 12.5 },
  });
});

test("an array is published in the order given, each event with its coordinates", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=events");
  const response = await publish(server.url, [
    { data: 1 },
    { topic: "orders", data: 2 },
    { data: 3 },
  ]);
  const { published, events, receivers } = (await response.json()) as {
    published: number;
    events: { topic: string; offset: number }[];
    receivers: number;
  };
  expect({ published, receivers }).toEqual({ published: 3, receivers: 1 });
  expect(events.map(({ topic }) => topic)).toEqual(["events", "orders", "events"]);
  expect((events[2]?.offset ?? 0) - (events[0]?.offset ?? 0)).toBe(1);
  expect((await subscriber.recordsUpTo(2)).map(({ data }) => data)).toEqual(["1", "3"]);
});

test("D6 an array with one bad event publishes nothing", async () => {
  const before = await storedUpTo(server.url);
  for (const bad of [
    {},
    { data: 1, more: 1 },
    { topic: "nothing", data: 1 },
    { type: "close", data: 1 },
  ]) {
    const response = await publish(server.url, [{ data: 1 }, bad]);
    expect(response.status).toBeOneOf([400, 404, 422]);
  }
  expect(await storedUpTo(server.url)).toBe(before);
});

test("what many publish at once is stored once each, in one order that all see", async () => {
  await using first = await TestSubscriber.live(server.url);
  await using second = await TestSubscriber.live(server.url, "/events?envelope=true");
  const responses = await Promise.all(
    Array.from({ length: 100 }, (_, i) => publish(server.url, { data: { i } })),
  );
  expect(responses.every(({ status }) => status === 200)).toBe(true);
  const seen = (await first.recordsUpTo(100)).map(({ data }) => data);
  expect(new Set(seen).size).toBe(100);
  const wrapped = (await second.recordsUpTo(100)).map(
    ({ data }) => (JSON.parse(data) as { payload: unknown }).payload,
  );
  expect(wrapped).toEqual(seen.map((text) => JSON.parse(text) as unknown));
});

/** Status and type of an answer that must be a whole problem. */
async function refusal(answer: Promise<Response>): Promise<[status: number, type: string]> {
  const response = await answer;
  const { status, headers } = response;
  expect(headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  return [status, String(body["type"])];
}

test.each([
  [""],
  ["null"],
  ["1"],
  ['"x"'],
  ["{"],
  ["[]"],
  ["{}"],
  ['{"data":1}{"data":2}'],
  ["\uFEFF{"],
])("D1 the body %j is 400", async (body) => {
  expect(await refusal(publish(server.url, body))).toEqual([400, "/errors/invalid-body"]);
});

test("D5 a body that is not UTF-8 is 400", async () => {
  const response = fetch(`${server.url}/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: Buffer.from([...Buffer.from('{"data":"'), 0xc0, 0xa0, ...Buffer.from('"}')]),
  });
  expect(await refusal(response)).toEqual([400, "/errors/invalid-body"]);
});

test.each([
  ["text/plain"],
  ["application/x-www-form-urlencoded"],
  ["application/jsonp"],
  ["multipart/form-data"],
])("D4 a body of the type %s is 415", async (type) => {
  const response = publish(server.url, { data: 1 }, { "Content-Type": type });
  expect(await refusal(response)).toEqual([415, "/errors/unsupported-media-type"]);
});

test("D4 JSON with a charset is JSON; no type at all, and a compressed body, are 415", async () => {
  const headers = { "Content-Type": "Application/JSON; charset=utf-8" };
  expect((await publish(server.url, { data: 1 }, headers)).status).toBe(200);
  const bare = fetch(`${server.url}/events`, { method: "POST", body: Buffer.from('{"data":1}') });
  expect((await refusal(bare))[0]).toBe(415);
  const zipped = publish(server.url, { data: 1 }, { "Content-Encoding": "gzip" });
  expect((await refusal(zipped))[0]).toBe(415);
});

test("D3 a chunked body that never ends is 413 once it is too large", async () => {
  await using peer = await RawPeer.send(
    server.port,
    "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  for (let i = 0; i < 20; i += 1) peer.socket.write(chunk);
  await peer.answered();
  expect(peer.status).toBe(413);
});

test("a topic that is not served is 404", async () => {
  const response = publish(server.url, { topic: "nothing", data: 1 });
  expect(await refusal(response)).toEqual([404, "/errors/topic-not-found"]);
});

test.each([
  ["X-Forwarded-For", "10.0.0.1"],
  ["Forwarded", "for=10.0.0.1"],
  ["Via", "1.1 proxy"],
  ["X-Forwarded-Proto", "https"],
  ["X-Real-IP", "127.0.0.1"],
  ["Host", "events.example"],
])(
  "publishing with %s: %s is 403, and so is naming oneself; reading is not",
  async (name, value) => {
    const headers = { [name]: value };
    expect(await refusal(publish(server.url, { data: 1 }, headers))).toEqual([
      403,
      "/errors/forbidden",
    ]);
    for (const query of ["userId=a", "username=a", "clientId=a"]) {
      const response = fetch(`${server.url}/events?${query}`, { headers });
      expect(await refusal(response)).toEqual([403, "/errors/forbidden"]);
    }
    await using subscriber = await TestSubscriber.live(server.url, "/events", { headers });
    expect(subscriber.response.status).toBe(200);
  },
);

test("C13 a Host that is neither loopback nor allowed is 403 everywhere", async () => {
  for (const path of ["/events", "/health", "/", "/metrics", "/nothing"]) {
    const response = fetch(`${server.url}${path}`, { headers: { Host: "attacker.example" } });
    expect(await refusal(response)).toEqual([403, "/errors/forbidden"]);
  }
  for (const host of [
    "localhost",
    "127.0.0.1:80",
    "[::1]:80",
    "app.localhost",
    "EVENTS.example:443",
  ]) {
    const response = await fetch(`${server.url}/health`, { headers: { Host: host } });
    expect(response.status).toBe(200);
  }
});

test("off loopback nobody publishes or names themselves, unless it is allowed", async () => {
  await using closed = await startLocalServer({ HOST: "0.0.0.0" });
  const url = `http://127.0.0.1:${closed.port}`;
  expect((await refusal(publish(url, { data: 1 })))[0]).toBe(403);
  expect((await refusal(fetch(`${url}/events?userId=a`)))[0]).toBe(403);
  await using open = await startLocalServer({
    HOST: "0.0.0.0",
    ALLOW_ANONYMOUS_PUBLISH: "true",
    ALLOW_ANONYMOUS_USERS: "true",
  });
  const openUrl = `http://127.0.0.1:${open.port}`;
  const headers = { "X-Forwarded-For": "10.0.0.1", Host: "anything.example" };
  await using subscriber = await TestSubscriber.live(openUrl, "/events?userId=a", { headers });
  expect((await publish(openUrl, { data: 1 }, headers)).status).toBe(200);
  await subscriber.recordsUpTo(1);
});

test("what was published, opened and refused is counted", async () => {
  await using own = await startLocalServer();
  await using subscriber = await TestSubscriber.live(own.url);
  await using reset = await TestSubscriber.live(own.url, "/events", { lastEventId: "x" });
  await publish(own.url, [{ data: 1 }, { data: 2 }]);
  await Promise.all([subscriber.recordsUpTo(2), reset.recordsUpTo(2)]);
  expect(await metric(own.url, 'headgate_published_total{result="ok"}')).toBe(2);
  expect(await metric(own.url, "sse_connected_clients")).toBe(2);
  expect(await metric(own.url, "sse_streams_opened_total")).toBe(2);
  expect(await metric(own.url, "sse_events_sent_total")).toBe(4);
  expect(await metric(own.url, 'sse_resets_total{reason="malformed"}')).toBe(1);
});

test("health, readiness and the status of the embedded log are told", async () => {
  const get = async (path: string): Promise<unknown> =>
    (await fetch(`${server.url}${path}`)).json();
  expect(await get("/health")).toEqual({ status: "ok", timestamp: expect.any(Number) });
  expect(await get("/livez")).toEqual({ status: "ok", timestamp: expect.any(Number) });
  expect(await get("/readyz")).toEqual({ status: "ready" });
  expect(await get("/kafka/status")).toMatchObject({
    mode: "embedded",
    producer: { connected: true },
    consumer: { connected: true, groupId: null },
  });
});
