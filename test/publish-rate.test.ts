import { expect, setDefaultTimeout, test } from "bun:test";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { until } from "./support/feed.ts";
import { type LocalServer, publish, type Settings, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(20_000);

/** So slow that no test can see an allowance fill: each sender has one event, and then none for a long time. */
const SLOW: Settings = { SSE_PUBLISH_RATE: "0.01" };

const EVENT = { data: "x" };

async function status(server: LocalServer, body: unknown, headers?: Settings): Promise<number> {
  const response = await publish(server.url, body, headers);
  await response.text();
  return response.status;
}

/** The seconds after which a publish that is refused may come back. */
async function retryAfter(response: Response): Promise<number> {
  expect(response.status).toBe(429);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.json()).toMatchObject({ type: "/errors/rate-limited", mayBeStored: false });
  return Number(response.headers.get("retry-after"));
}

async function stored(server: LocalServer): Promise<number> {
  const { events } = (await (await fetch(`${server.url}/events/recent?limit=1000`)).json()) as {
    events: unknown[];
  };
  return events.length;
}

test("D9 a publish above the rate is 429, says when to come back, and stores and sends nothing", async () => {
  await using server = await startLocalServer(SLOW);
  await using subscriber = await TestSubscriber.live(server.url);
  expect(await status(server, EVENT)).toBe(200);
  expect(await retryAfter(await publish(server.url, EVENT))).toBeWithin(90, 101);
  const burst = await Promise.all(Array.from({ length: 20 }, () => status(server, EVENT)));
  expect(new Set(burst)).toEqual(new Set([429]));
  await subscriber.recordsUpTo(1);
  expect(await stored(server)).toBe(1);
});

test("D9 a publish above the rate uses up no Idempotency-Key", async () => {
  await using server = await startLocalServer({ SSE_PUBLISH_RATE: "2" });
  expect(await status(server, [EVENT, EVENT])).toBe(200);
  const headers = { "Idempotency-Key": "k" };
  await retryAfter(await publish(server.url, EVENT, headers));
  let answer: unknown;
  await until(async () => {
    const response = await publish(server.url, EVENT, headers);
    answer = await response.json();
    return response.status === 200;
  });
  expect(answer).toEqual({
    published: 1,
    events: [{ topic: "events", partition: 0, offset: 2 }],
    receivers: 0,
  });
});

test("D9 the events of a publish count, in whatever form they come", async () => {
  const forms: readonly (readonly [type: string, body: string])[] = [
    ["application/json", JSON.stringify(Array.from({ length: 8 }, () => EVENT))],
    ["application/x-ndjson", `${JSON.stringify(EVENT)}\n`.repeat(8)],
    [
      "application/cloudevents-batch+json",
      JSON.stringify(
        Array.from({ length: 8 }, (_, i) => ({
          specversion: "1.0",
          id: String(i),
          source: "/test",
          type: "t",
          data: "x",
        })),
      ),
    ],
  ];
  for (const [type, body] of forms) {
    await using server = await startLocalServer({ SSE_PUBLISH_RATE: "0.5" });
    const headers = { "Content-Type": type };
    expect(await status(server, body, headers)).toBe(200);
    // Eight at one in two seconds.
    expect(await retryAfter(await publish(server.url, EVENT))).toBeWithin(12, 17);
    expect(await stored(server)).toBe(8);
  }
});

test("D9 notifications count as events do", async () => {
  await using server = await startLocalServer(SLOW);
  const notify = (word: string): Promise<Response> =>
    fetch(`${server.url}/notifications/job`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id: "j-1", status: word, details: {}, target: "all" }),
    });
  expect((await notify("no status")).status).toBe(400);
  expect((await notify("queued")).status).toBe(200);
  expect(await retryAfter(await notify("started"))).toBeWithin(90, 101);
  expect(await status(server, EVENT)).toBe(429);
  expect(await stored(server)).toBe(1);
});

test("D9 what cannot be published does not count", async () => {
  await using server = await startLocalServer(SLOW);
  for (const body of [
    "",
    "{",
    [],
    [{}],
    { topic: "nothing", data: 1 },
    { type: "close", data: 1 },
  ]) {
    expect(await status(server, body)).toBeOneOf([400, 404, 422]);
  }
  expect(await status(server, EVENT)).toBe(200);
  expect(await status(server, EVENT)).toBe(429);
});

test("D9 a sender that waits as long as it was told gets through", async () => {
  await using server = await startLocalServer({ SSE_PUBLISH_RATE: "2" });
  expect(await status(server, [EVENT, EVENT])).toBe(200);
  const seconds = await retryAfter(await publish(server.url, EVENT));
  expect(seconds).toBe(1);
  const startedMs = performance.now();
  await until(async () => (await status(server, EVENT)) === 200);
  expect(performance.now() - startedMs).toBeLessThan(seconds * 1000 + 500);
});

test("D9 without a user the address counts, which X-Forwarded-For of anybody but a trusted proxy does not change (C16)", async () => {
  const open = { ...SLOW, ALLOW_ANONYMOUS_PUBLISH: "true" };
  const from = (address: string): Settings => ({ "X-Forwarded-For": address });
  await using direct = await startLocalServer(open);
  expect(await status(direct, EVENT, from("192.0.2.1"))).toBe(200);
  expect(await status(direct, EVENT, from("192.0.2.2"))).toBe(429);
  await using proxied = await startLocalServer({ ...open, TRUSTED_PROXIES: "127.0.0.1/32" });
  expect(await status(proxied, EVENT, from("192.0.2.1"))).toBe(200);
  expect(await status(proxied, EVENT, from("192.0.2.2"))).toBe(200);
  expect(await status(proxied, EVENT, from("192.0.2.3, 192.0.2.1"))).toBe(429);
  expect(await status(proxied, EVENT, from("2001:db8::1"))).toBe(200);
  expect(await status(proxied, EVENT, from("2001:db8::2"))).toBe(429);
});

test("D9 with tokens the user counts, whichever token and wherever it comes from; who has none shares the address's", async () => {
  await using server = await startJwtServer(SLOW);
  const as = (sub: string | undefined, jti: string): Settings => bearer(ALL, { sub, jti });
  expect(await status(server, EVENT, as("ann", "1"))).toBe(200);
  expect(await status(server, EVENT, as("ann", "2"))).toBe(429);
  expect(await status(server, EVENT, as("bob", "1"))).toBe(200);
  expect(await status(server, EVENT, as("127.0.0.1", "1"))).toBe(200);
  // A token without sub is nobody's.
  expect(await status(server, EVENT, as(undefined, "1"))).toBe(200);
  expect(await status(server, EVENT, as(undefined, "2"))).toBe(429);
});

test("what the application itself publishes has no rate", async () => {
  await using server = await startLocalServer(SLOW);
  for (let i = 0; i < 5; i += 1) await server.headgate.publish(EVENT);
  expect(await stored(server)).toBe(5);
});
