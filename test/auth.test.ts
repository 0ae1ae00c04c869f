import { afterAll, beforeAll, expect, test } from "bun:test";
import { ALL, bearer, type Grants, startJwtServer, statusOf } from "./support/callers.ts";
import { type LocalServer, publish } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const TOPICS = ["a", "a.b", "ab", "b"];

let server: LocalServer;

beforeAll(async () => {
  server = await startJwtServer({ KAFKA_TOPICS: TOPICS.join(",") });
  const events = TOPICS.map((topic) => ({ topic, data: topic }));
  expect((await publish(server.url, events, bearer(ALL))).status).toBe(200);
});

afterAll(() => server[Symbol.asyncDispose]());

/** Patterns, and which of TOPICS they mean. */
const PATTERNS: [patterns: string[], topics: string[]][] = [
  [["*"], TOPICS],
  [["a"], ["a"]],
  [["a*"], ["a", "a.b", "ab"]],
  [["a.*"], ["a.b"]],
  [["a.b*"], ["a.b"]],
  [
    ["b", "a.b"],
    ["a.b", "b"],
  ],
  [["a*b"], []],
  [["*b"], []],
  [["**"], []],
  [["a?"], []],
  [["a,b"], []],
  [["A*"], []],
  [[".*"], []],
  [["a b"], []],
];

/** How many records each topic holds, as somebody sees who may see all. */
async function stored(): Promise<Record<string, number>> {
  const response = await fetch(`${server.url}/kafka/status`, { headers: bearer(ALL) });
  const { consumer } = (await response.json()) as {
    consumer: { partitions: { topic: string; offset: number }[] };
  };
  return Object.fromEntries(consumer.partitions.map(({ topic, offset }) => [topic, offset]));
}

test.each(PATTERNS)("C15 a token with subscribe %j reads %j", async (subscribe, topics) => {
  const headers = bearer({ subscribe, publish: ["*"], channels: ["*"] });
  for (const topic of TOPICS) {
    const expected = topics.includes(topic) ? 200 : topics.length > 0 ? 404 : 403;
    const paths = ["/events", "/stream", "/events/recent", "/events/explain"];
    for (const path of paths) {
      const status = await statusOf(`${server.url}${path}?topics=${topic}`, headers);
      // A name that the token does not allow is one that is not there.
      expect([path, topic, status]).toEqual([path, topic, expected === 403 ? 404 : expected]);
    }
    expect(await statusOf(`${server.url}/events/${topic}/0/0`, headers)).toBe(expected);
  }
});

test.each(PATTERNS)("C15 a token with publish %j publishes to %j", async (names, topics) => {
  const headers = bearer({ publish: names, subscribe: ["*"], channels: ["*"] });
  for (const topic of TOPICS) {
    const before = await stored();
    const expected = topics.includes(topic) ? 200 : 403;
    expect((await publish(server.url, { topic, data: 1 }, headers)).status).toBe(expected);
    const added = expected === 200 ? 1 : 0;
    expect(await stored()).toEqual({ ...before, [topic]: (before[topic] ?? 0) + added });
  }
});

test.each(PATTERNS)("C15 a token with channels %j joins and names %j", async (channels, names) => {
  const headers = bearer({ channels, publish: ["*"], subscribe: ["*"] });
  for (const channel of TOPICS) {
    const expected = names.includes(channel) ? 200 : 403;
    for (const path of ["/events", "/stream", "/events/recent", "/events/explain"]) {
      const status = await statusOf(`${server.url}${path}?channels=${channel}`, headers);
      expect([path, channel, status]).toEqual([path, channel, expected]);
    }
    const lookUp = `${server.url}/events/a/0/0?channels=${channel}`;
    expect(await statusOf(lookUp, headers)).toBe(expected);
    const event = { data: 1, to: { channel } };
    expect((await publish(server.url, event, headers)).status).toBe(expected);
  }
});

test("C15 a star in the middle of a channel's name means itself, and a star that is asked for matches nothing", async () => {
  const join = (channels: string[], asked: string): Promise<number> =>
    statusOf(
      `${server.url}/events?channels=${encodeURIComponent(asked)}`,
      bearer({ subscribe: ["*"], channels }),
    );
  expect(await join(["a*b"], "a*b")).toBe(200);
  expect(await join(["a*b"], "axb")).toBe(403);
  expect(await join(["team.*"], "team.*")).toBe(200);
  expect(await join(["team.*"], "team")).toBe(403);
  expect(await join(["team.*"], "teams")).toBe(403);
  expect(await join(["team.*"], "*")).toBe(403);
  expect(await join(["team.a"], "team.*")).toBe(403);
  // All that is asked for, or nothing of it.
  const one = `${server.url}/events?channels=x,y`;
  expect(await statusOf(one, bearer({ subscribe: ["*"], channels: ["x"] }))).toBe(403);
});

test("C15 patterns that are asked for reach no further than the token's", async () => {
  const topicsOf = async (subscribe: string[], asked: string): Promise<unknown> => {
    await using subscriber = await TestSubscriber.live(server.url, `/events${asked}`, {
      headers: bearer({ subscribe }),
    });
    const { data } = await subscriber.first("connection");
    return (JSON.parse(data) as { topics: unknown }).topics;
  };
  expect(await topicsOf(["*"], "")).toEqual(TOPICS);
  expect(await topicsOf(["a"], "")).toEqual(["a"]);
  expect(await topicsOf(["a"], "?topics=*")).toEqual(["a"]);
  expect(await topicsOf(["a"], "?topics=a*")).toEqual(["a"]);
  expect(await topicsOf(["a*", "x"], "")).toEqual(["a", "a.b", "ab"]);
  expect(await topicsOf(["a*", "x"], "?topics=a.*,ab")).toEqual(["a.b", "ab"]);
  const headers = bearer({ subscribe: ["a"] });
  expect(await statusOf(`${server.url}/events?topics=b*`, headers)).toBe(404);
  expect(await statusOf(`${server.url}/events?topics=a,b`, headers)).toBe(404);
});

test("C15 a reader does not publish, in whatever form, and nothing is stored", async () => {
  const before = await stored();
  const headers = bearer({ subscribe: ["*"], channels: ["*"], status: true });
  expect(await publishInEveryForm("b", headers)).toEqual(Array(7).fill(403));
  expect(await stored()).toEqual(before);
});

test("C15 a publisher for one topic reaches no other, in whatever form, and nothing is stored", async () => {
  const before = await stored();
  const headers = bearer({ publish: ["ab"], subscribe: ["*"] });
  expect(await publishInEveryForm("b", headers)).toEqual(Array(7).fill(403));
  // One that it may publish first: an array is checked whole.
  const mixed = [{ topic: "ab", data: 1 }, { data: 1 }];
  expect((await publish(server.url, mixed, headers)).status).toBe(403);
  expect(await stored()).toEqual(before);
});

test("C15 no header and no attribute of an event stands for a target", async () => {
  const before = await stored();
  const headers = bearer({ publish: ["*"] });
  const reserved = ["headgate-channel", "Headgate-Channel", "headgate-user", "HEADGATE-CLIENT"];
  for (const name of reserved) {
    const event = { data: 1, headers: { [name]: "x" } };
    expect((await publish(server.url, event, headers)).status).toBe(422);
    const binary = { ...CLOUD_EVENT_HEADERS, [`ce-${name}`]: "x", ...headers };
    expect((await post("/events", "text/plain", "x", binary)).status).toBe(400);
  }
  expect((await publish(server.url, { data: 1, to: { channel: "x" } }, headers)).status).toBe(403);
  const toChannel = JSON.stringify({ ...PAYMENT, target: "channel", targetId: "x" });
  const notified = await post("/notifications/payment", "application/json", toChannel, headers);
  expect(notified.status).toBe(403);
  expect(await stored()).toEqual(before);
});

test("what a token does not name it may not do", async () => {
  const claims: unknown[] = [undefined, {}, { unknown: ["*"] }, { topics: ["*"], admin: true }];
  for (const headgate of claims) {
    const headers = bearer({}, { headgate });
    for (const path of ["/events", "/events/recent", "/events/explain", "/metrics", "/"]) {
      expect(await statusOf(`${server.url}${path}`, headers)).toBe(403);
    }
    expect((await publish(server.url, { data: 1 }, headers)).status).toBe(403);
  }
});

test("a claim of another form grants nothing", async () => {
  const claims: unknown[] = [
    null,
    "*",
    ["*"],
    { subscribe: "*" },
    { subscribe: [1] },
    { subscribe: ["*"], status: "true" },
    { subscribe: ["*"], client: "a b" },
    { subscribe: [""] },
  ];
  for (const headgate of claims) {
    const headers = bearer({}, { headgate });
    expect(await statusOf(`${server.url}/events/recent`, headers)).toBe(401);
  }
});

test("JWT_DEFAULT_CLAIMS widens what every token may do, and a token does not narrow it", async () => {
  const defaults = { subscribe: ["a*"], publish: ["b"], channels: ["all"], status: true };
  await using widened = await startJwtServer({
    KAFKA_TOPICS: "a,b,c",
    JWT_DEFAULT_CLAIMS: JSON.stringify(defaults),
  });
  const may = async (grants: Grants): Promise<number[]> => [
    await statusOf(`${widened.url}/events?topics=a&channels=all`, bearer(grants)),
    await statusOf(`${widened.url}/events?topics=c`, bearer(grants)),
    await statusOf(`${widened.url}/metrics`, bearer(grants)),
    (await publish(widened.url, { topic: "b", data: 1 }, bearer(grants))).status,
    (await publish(widened.url, { topic: "c", data: 1 }, bearer(grants))).status,
  ];
  expect(await may({})).toEqual([200, 404, 200, 200, 403]);
  expect(await may({ subscribe: [], publish: [], channels: [], status: false })).toEqual([
    200, 404, 200, 200, 403,
  ]);
  expect(await may({ subscribe: ["c"], publish: ["c"] })).toEqual([200, 200, 200, 200, 200]);
  // Nobody is let in by it.
  expect(await statusOf(`${widened.url}/events`)).toBe(401);
});

const PAYMENT = { id: "p-1", status: "completed", target: "all" };
const CLOUD_EVENT = { specversion: "1.0", id: "1", source: "/tests", type: "t" };
const CLOUD_EVENT_HEADERS = Object.fromEntries(
  Object.entries(CLOUD_EVENT).map(([name, value]) => [`ce-${name}`, value]),
);

function post(
  path: string,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "Content-Type": type, ...headers },
    body,
  });
}

/** The statuses of one event: as JSON (with both ways to name the topic), lines, CloudEvents, and a notification. */
async function publishInEveryForm(
  topic: string,
  headers: Readonly<Record<string, string>>,
): Promise<number[]> {
  const event = JSON.stringify({ data: 1 });
  const named = JSON.stringify({ topic, data: 1 });
  const cloud = JSON.stringify(CLOUD_EVENT);
  const target = `/events?topic=${topic}`;
  const responses = [
    await post("/events", "application/json", named, headers),
    await post(target, "application/json", `[${event}]`, headers),
    await post(target, "application/x-ndjson", `${event}\n`, headers),
    await post(target, "application/cloudevents+json", cloud, headers),
    await post(target, "application/cloudevents-batch+json", `[${cloud}]`, headers),
    await post(target, "text/plain", "x", { ...CLOUD_EVENT_HEADERS, ...headers }),
    // To the default topic, whose token this is not either.
    await post("/notifications/payment", "application/json", JSON.stringify(PAYMENT), headers),
  ];
  return responses.map(({ status }) => status);
}
