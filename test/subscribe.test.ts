import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { runs } from "./support/effort.ts";

let server: LocalServer;
/** A position that is good. */
let now: string;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "events,orders,orders.eu" });
  for (let i = 0; i < 5; i += 1) await publish(server.url, { data: i });
  await using subscriber = await TestSubscriber.live(server.url);
  now = subscriber.lastEventId;
});

afterAll(() => server[Symbol.asyncDispose]());

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly parameter?: string;
}

async function problem(target: string, init?: RequestInit): Promise<Problem> {
  const response = await fetch(`${server.url}${target}`, init);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as Problem;
  expect(body.status).toBe(response.status);
  expect(body.title).not.toBe("");
  return body;
}

interface Reset {
  readonly reason: string;
  readonly topics: string[];
  readonly requested: string;
  readonly position: string;
}

function resetOf(subscriber: Pick<TestSubscriber, "named">): Reset | undefined {
  const [reset] = subscriber.named("reset");
  return reset && (JSON.parse(reset.data) as Reset);
}

test.each([["*/*"], ["text/event-stream"], ["text/html"], ["application/json"], [""]])(
  "B1 Accept %j gets the event stream",
  async (accept) => {
    await using subscriber = await TestSubscriber.live(server.url, "/events", {
      headers: { Accept: accept },
    });
    const { status, headers } = subscriber.response;
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
    expect(headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(headers.get("x-accel-buffering")).toBe("no");
  },
);

test("the first bytes are retry, jittered, and connection with the position at which the stream begins", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  const [first, second] = subscriber.events;
  expect(subscriber.retries).toHaveLength(1);
  expect(subscriber.retries[0]).toBeWithin(2250, 3751);
  expect(first).toMatchObject({ event: "connection", id: now });
  const data = JSON.parse(first?.data ?? "") as Record<string, unknown>;
  expect(Object.keys(data)).toEqual(["clientId", "timestamp", "message", "topics", "resumed"]);
  expect(data).toMatchObject({ topics: ["events", "orders", "orders.eu"], resumed: false });
  expect(new Date(String(data["timestamp"])).toISOString()).toBe(String(data["timestamp"]));
  expect(second).toMatchObject({ event: "live", data: '{"replayed":0}', id: now });
});

test.each([
  ["garbage"],
  ["1"],
  ["1~events"],
  ["1~events~a"],
  ["1~events~a~"],
  ["1~events~a~1."],
  ["1~events~a~01"],
  ["1~events~a~-1"],
  ["1~events~A~1"],
  ["1~events~abcdefghi~1"],
  ["2~events~a~1"],
  ["1~events~a~1~extra"],
  ["1~orders~a~1~events~a~1"],
  ["1~events~a~1~events~a~1"],
  ["AAECAwQ="],
  ["undefined"],
  [`1~events~a~${"0.".repeat(256)}0`],
  [`1~events~a~${"9".repeat(4097)}`],
])(
  "B2 B3 B4 B7 B11 the id %s is told to be malformed, and the stream begins at the end",
  async (id) => {
    await using subscriber = await TestSubscriber.live(server.url, "/events", { lastEventId: id });
    expect(subscriber.response.status).toBe(200);
    const [connection, reset, live] = subscriber.events;
    // A reset must not be missed: nothing before it has an id.
    expect(connection).toMatchObject({ event: "connection", id: "" });
    expect(reset).toMatchObject({ event: "reset", id: now });
    expect(resetOf(subscriber)).toEqual({
      reason: "malformed",
      topics: ["events", "orders", "orders.eu"],
      requested: id.slice(0, 100),
      position: now,
    });
    expect(live).toMatchObject({ event: "live", data: '{"replayed":0}' });
  },
);

test("B2 B5 no text as an id makes anything but a stream that tells of a reset", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", minLength: 1 }), async (text) => {
      fc.pre(text.isWellFormed());
      const target = `/events?lastEventId=${encodeURIComponent(text)}`;
      await using subscriber = await TestSubscriber.live(server.url, target);
      expect(resetOf(subscriber)?.reason).toBe("malformed");
    }),
    { numRuns: runs(30) },
  );
});

test.each([["%00"], ["%ff%fe"], ["%"], ["%F0%9F%98%80"], ["%31%7Eevents"]])(
  "B5 lastEventId=%s is malformed, not an error",
  async (text) => {
    await using subscriber = await TestSubscriber.live(server.url, `/events?lastEventId=${text}`);
    expect(resetOf(subscriber)?.reason).toBe("malformed");
  },
);

test("B5 bytes in the header that are not UTF-8 are malformed, and come back as UTF-8", async () => {
  const request = Buffer.from(
    "GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff\xfe\xc3\r\n\r\n",
    "latin1",
  );
  await using peer = await RawPeer.send(server.port, request);
  await peer.stream.first("live");
  expect(resetOf(peer.stream)?.reason).toBe("malformed");
});

test("B3 an id of 64 KB is 431, and the server goes on", async () => {
  const headers = { "Last-Event-ID": "x".repeat(65_536) };
  expect((await fetch(`${server.url}/events`, { headers })).status).toBe(431);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("B6 topics in an id beyond the subscription are ignored, served or not", async () => {
  const tag = /~events~([a-z0-9]+)~/.exec(now)?.[1] ?? "";
  const id = `1~aaa~zz~7~events~${tag}~3~orders~zz~9~secret~zz~1`;
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=events", {
    lastEventId: id,
  });
  expect(subscriber.named("reset")).toEqual([]);
  expect(subscriber.records.map(({ data }) => data)).toEqual(["3", "4"]);
  expect(subscriber.events[0]?.id).toBe(`1~events~${tag}~3`);
  expect(subscriber.lastEventId).toBe(`1~events~${tag}~5`);
});

test("topics of the subscription that the id does not name start at the end, without a reset", async () => {
  const tag = /~events~([a-z0-9]+)~/.exec(now)?.[1] ?? "";
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=events,orders", {
    lastEventId: `1~events~${tag}~4`,
  });
  expect(subscriber.named("reset")).toEqual([]);
  expect(subscriber.records.map(({ data }) => data)).toEqual(["4"]);
  expect(JSON.parse(subscriber.events[0]?.data ?? "")).toMatchObject({ resumed: true });
});

test("B7 a partition that the topic does not have is ahead, at once on the embedded log", async () => {
  const tag = /~events~([a-z0-9]+)~/.exec(now)?.[1] ?? "";
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=events", {
    lastEventId: `1~events~${tag}~5.7`,
  });
  expect(resetOf(subscriber)).toMatchObject({ reason: "ahead", topics: ["events"] });
});

test("B8 an offset beyond the end is ahead: told, and on from the end, or from where the request says", async () => {
  const lastEventId = now.replace(/(~events~[a-z0-9]+)~5/, "$1~999");
  await using subscriber = await TestSubscriber.live(server.url, "/events", { lastEventId });
  expect(resetOf(subscriber)).toEqual({
    reason: "ahead",
    topics: ["events"],
    requested: lastEventId.slice(0, 100),
    position: now,
  });
  expect(subscriber.events[0]).toMatchObject({ event: "connection", id: "" });
  await using since = await TestSubscriber.live(server.url, "/events?since=earliest", {
    lastEventId,
  });
  expect(resetOf(since)?.reason).toBe("ahead");
  expect(since.records).toHaveLength(5);
});

test("B10 B11 an id with another tag is of another topic: recreated, and on from the new one's start", async () => {
  const lastEventId = now.replace(/(~events)~[a-z0-9]+~5/, "$1~zzzzzzzz~2");
  await using subscriber = await TestSubscriber.live(server.url, "/events", { lastEventId });
  expect(resetOf(subscriber)).toMatchObject({ reason: "recreated", topics: ["events"] });
  expect(subscriber.records.map(({ data }) => data)).toEqual(["0", "1", "2", "3", "4"]);
  expect(subscriber.named("live")[0]?.data).toBe('{"replayed":5}');
});

test("B12 the header beats the query, and an empty header leaves the query's", async () => {
  const tag = /~events~([a-z0-9]+)~/.exec(now)?.[1] ?? "";
  const target = `/events?topics=events&lastEventId=1~events~${tag}~1`;
  await using both = await TestSubscriber.live(server.url, target, {
    lastEventId: `1~events~${tag}~4`,
  });
  expect(both.records.map(({ data }) => data)).toEqual(["4"]);
  await using query = await TestSubscriber.live(server.url, target);
  expect(query.records).toHaveLength(4);
  await using empty = await TestSubscriber.live(server.url, target, { lastEventId: "" });
  expect(empty.records).toHaveLength(4);
});

test("B13 of a header that is sent twice the first one counts", async () => {
  const earlier = now.replace(/(~events~[a-z0-9]+)~5/, "$1~3");
  await using peer = await RawPeer.subscribe(
    server.port,
    "/events",
    `Last-Event-ID: ${earlier}\r\nLast-Event-ID: garbage\r\n`,
  );
  await peer.stream.first("live");
  expect(peer.stream.named("reset")).toEqual([]);
  expect(peer.stream.records).toHaveLength(2);
});

test.each([["nothing"], ["nothing*"], ["__consumer_offsets"], ["orders.us"]])(
  "B14 B15 the topic %s is 404, before any stream",
  async (topic) => {
    expect(await problem(`/events?topics=${topic}`)).toMatchObject({
      type: "/errors/topic-not-found",
      status: 404,
    });
  },
);

test.each([
  ["topics="],
  ["topics=,"],
  [`topics=${Array.from({ length: 101 }, () => "orders").join(",")}`],
  ["topics=.."],
  ["topics=%2e"],
  [`topics=${"x".repeat(250)}`],
  ["topics=a*b"],
])("B15 B17 %s is 400, and names topics", async (query) => {
  expect(await problem(`/events?${query}`)).toMatchObject({ status: 400, parameter: "topics" });
});

test("B15 a topic named a hundred times is one topic", async () => {
  const topics = Array.from({ length: 100 }, () => "orders").join(",");
  await using subscriber = await TestSubscriber.live(server.url, `/events?topics=${topics}`);
  expect(subscriber.lastEventId).toMatch(/^1~orders~[a-z0-9]+~0$/);
});

test.each([
  ["since=latest&since=latest", "since"],
  ["topics=events&topics=orders", "topics"],
  ["__proto__=1", "__proto__"],
  ["constructor=1", "constructor"],
  ["unknown=1", "unknown"],
  ["since=latest&recent=1", "recent"],
  ["recent=1001", "recent"],
  ["recent=-1", "recent"],
  ["envelope=yes", "envelope"],
  ["since=yesterday", "since"],
  ["types=%ff", "types"],
  ["clientId=a%20b", "clientId"],
])("B16 the query %s is 400, and names %s", async (query, parameter) => {
  expect(await problem(`/events?${query}`)).toMatchObject({
    type: "/errors/invalid-parameter",
    status: 400,
    parameter,
  });
});

test("B16 a URL of 64 KB, 500 headers and a long path are refused, and the server goes on", async () => {
  const long = "x".repeat(65_536);
  expect((await fetch(`${server.url}/events?keys=${long}`)).status).toBeOneOf([400, 414, 431]);
  const headers = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`X-${i}`, "1"]));
  expect((await fetch(`${server.url}/events`, { headers })).status).toBeOneOf([400, 431]);
  expect((await fetch(`${server.url}/${"a/".repeat(4000)}`)).status).toBe(404);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("B16 a cache buster is ignored", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?_=1700000000");
  expect(subscriber.response.status).toBe(200);
});

test("B17 a type filter with many stars is matched as text, at once", async () => {
  await using subscriber = await TestSubscriber.live(
    server.url,
    `/events?types=${"a*".repeat(50)}`,
  );
  await publish(server.url, { topic: "orders", type: "a".repeat(1000), data: 1 });
  await publish(server.url, { topic: "orders", type: "a*".repeat(49) + "abc", data: 2 });
  expect((await subscriber.recordsUpTo(1))[0]?.data).toBe("2");
});

test("B18 HEAD has the stream's headers and ends; other methods are 405 with Allow", async () => {
  const head = await fetch(`${server.url}/events`, { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(head.headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
  expect(await head.text()).toBe("");
  for (const method of ["PUT", "DELETE", "PATCH", "QUERY"]) {
    const response = await fetch(`${server.url}/events`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toInclude("GET");
    expect(response.headers.get("allow")).toInclude("POST");
  }
  const post = await fetch(`${server.url}/stream`, { method: "POST", body: "{}" });
  expect(post.status).toBe(405);
  expect(post.headers.get("allow")).not.toInclude("POST");
});

test("B18 HEAD of a bad request has its status and no body", async () => {
  const head = await fetch(`${server.url}/events?topics=nothing`, { method: "HEAD" });
  expect(head.status).toBe(404);
  expect(await head.text()).toBe("");
});

test("B19 a client that accepts compression gets each event at once all the same", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events", {
    headers: { "Accept-Encoding": "br, gzip, zstd" },
  });
  await publish(server.url, { topic: "orders", data: "now" });
  expect((await subscriber.recordsUpTo(1))[0]?.data).toBe('"now"');
});

test("a path that is not served is 404 with a problem", async () => {
  expect(await problem("/nothing")).toMatchObject({
    type: "/errors/endpoint-not-found",
    status: 404,
  });
  expect(await problem("/events/")).toMatchObject({ status: 404 });
});
