import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { canMount, mountDisk } from "./support/disk.ts";
import { until } from "./support/feed.ts";
import { RawPeer } from "./support/peers.ts";
import {
  type LocalServer,
  metric,
  publish,
  type Settings,
  startLocalServer,
  startServer,
  storedUpTo,
} from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
});

afterAll(() => server[Symbol.asyncDispose]());

interface Published {
  readonly published: number;
  readonly events: readonly { topic: string; partition: number; offset: number }[];
  readonly receivers: number;
  readonly duplicate?: true;
}

let lastKey = 0;

/** A key that no other test has. */
function newKey(): string {
  lastKey += 1;
  return `key ${lastKey}`;
}

async function send(
  url: string,
  body: unknown,
  key: string,
  headers: Settings = {},
): Promise<Published> {
  const response = await publish(url, body, { "Idempotency-Key": key, ...headers });
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "application/json",
  ]);
  return (await response.json()) as Published;
}

/** What is stored from the place of the first event on. */
async function storedSince(url: string, topic: string, offset: number): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let next = offset; ; next += 1) {
    const response = await fetch(`${url}/events/${topic}/0/${next}`);
    if (response.status === 404) return found;
    found.push(((await response.json()) as { payload: unknown }).payload);
  }
}

test("D8 a publish that is repeated under its key gets the first one's places, and nobody gets it twice", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  const key = newKey();
  const first = await send(server.url, { data: "once" }, key);
  expect(first).toMatchObject({ published: 1, receivers: 1 });
  expect(first).not.toHaveProperty("duplicate");
  for (let i = 0; i < 3; i += 1) {
    expect(await send(server.url, { data: "once" }, key)).toEqual({ ...first, duplicate: true });
  }
  // A key is not the same as another that looks like it, nor as none.
  const others = [key.toUpperCase(), ` ${key}x`, `${key}.0.1`].map((other) =>
    send(server.url, { data: "other" }, other),
  );
  for (const other of await Promise.all(others)) expect(other).not.toHaveProperty("duplicate");
  await publish(server.url, { data: "end" });
  expect((await subscriber.recordsUpTo(5)).map(({ data }) => data)).toEqual([
    '"once"',
    ...Array.from({ length: 3 }, () => '"other"'),
    '"end"',
  ]);
  expect(await storedSince(server.url, "events", first.events[0]?.offset ?? 0)).toHaveLength(5);
  expect(await metric(server.url, 'headgate_published_total{result="duplicate"}')).toBe(3);
});

test("D8 of fifty that come at once under one key one makes the event, and all know where it lies", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  for (const body of [{ data: 1 }, [{ data: 1 }, { topic: "orders", data: 2 }]]) {
    const before = subscriber.records.length;
    const key = newKey();
    const all = await Promise.all(Array.from({ length: 50 }, () => send(server.url, body, key)));
    expect(all.filter(({ duplicate }) => duplicate === undefined)).toHaveLength(1);
    const places = new Set(all.map(({ events }) => JSON.stringify(events)));
    expect(places.size).toBe(1);
    await publish(server.url, { data: "end" });
    await subscriber.until(() => subscriber.records.at(-1)?.data === '"end"');
    const expected = Array.isArray(body) ? ["1", "2", '"end"'] : ["1", '"end"'];
    expect(subscriber.records.slice(before).map(({ data }) => data)).toEqual(expected);
  }
});

test("D8 the events of an array keep their order and their places, in whatever form they come", async () => {
  const events = [{ data: 1 }, { topic: "orders", key: "k", data: 2 }, { data: 3 }];
  const forms: readonly (readonly [type: string, body: string])[] = [
    ["application/json", JSON.stringify(events)],
    ["application/x-ndjson", events.map((event) => JSON.stringify(event)).join("\n")],
    [
      "application/cloudevents-batch+json",
      JSON.stringify(
        events.map(({ data }) => ({ specversion: "1.0", id: "i", source: "/t", type: "t", data })),
      ),
    ],
  ];
  for (const [type, body] of forms) {
    const key = newKey();
    const headers = { "Content-Type": type };
    const first = await send(server.url, body, key, headers);
    expect(first.events).toHaveLength(3);
    expect((first.events[2]?.offset ?? 0) > (first.events[0]?.offset ?? 0)).toBe(true);
    expect(await send(server.url, body, key, headers)).toEqual({ ...first, duplicate: true });
  }
});

test("D8 notifications are published once under a key as well", async () => {
  const key = newKey();
  const notify = async (): Promise<Published> => {
    const response = await fetch(`${server.url}/notifications/job`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ id: "j-1", status: "queued", details: {}, target: "all" }),
    });
    expect(response.status).toBe(200);
    return (await response.json()) as Published;
  };
  const first = await notify();
  expect(await notify()).toEqual({ ...first, duplicate: true });
});

test("D8 under a key that was used another body is not published: the first one's places come back", async () => {
  const key = newKey();
  const first = await send(server.url, [{ data: "first" }, { data: "second" }], key);
  for (const body of [
    { data: "another" },
    [{ data: 1 }, { data: 2 }, { data: 3 }],
    { topic: "orders", data: "elsewhere" },
  ]) {
    const { published, events, duplicate } = await send(server.url, body, key);
    expect({ published, events, duplicate }).toEqual({
      published: 2,
      events: first.events,
      duplicate: true,
    });
  }
  const offset = first.events[0]?.offset ?? 0;
  expect(await storedSince(server.url, "events", offset)).toEqual(["first", "second"]);
});

test("D8 a publish that is refused for what it holds uses up no key", async () => {
  const key = newKey();
  for (const body of [
    "{",
    { data: 1, more: 1 },
    { type: "close", data: 1 },
    { topic: "no", data: 1 },
  ]) {
    const response = await publish(server.url, body, { "Idempotency-Key": key });
    expect(response.status).toBeOneOf([400, 404, 422]);
  }
  const large = { data: "x".repeat(300_000) };
  expect((await publish(server.url, large, { "Idempotency-Key": key })).status).toBe(413);
  expect(await send(server.url, { data: 1 }, key)).not.toHaveProperty("duplicate");
});

test("D8 a key is of 1 to 128 printable characters; others are 400, and nothing is published", async () => {
  const request = (key: string): Buffer =>
    Buffer.from(
      `POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: ${key}\r\nContent-Length: 10\r\n\r\n{"data":1}`,
      "latin1",
    );
  const answer = async (key: string): Promise<RawPeer> => {
    const peer = await RawPeer.send(server.port, request(key));
    await peer.answered();
    await peer.stream.until(() => peer.body.endsWith("\n") || peer.stream.isEnded);
    return peer;
  };
  const status = (): Promise<string> => storedUpTo(server.url);
  const before = await status();
  const bad = [
    "",
    "x".repeat(129),
    "x".repeat(5000),
    "a\tb",
    "k\x7f",
    "k\x01y",
    "\xe4",
    "\xc3\xa4",
  ];
  for (const key of bad) {
    await using peer = await answer(key);
    expect([key, peer.status]).toEqual([key, 400]);
  }
  await using empty = await answer("");
  expect(JSON.parse(empty.body)).toMatchObject({
    type: "/errors/invalid-parameter",
    parameter: "Idempotency-Key",
  });
  expect(await status()).toBe(before);
  const good = ["!", "x".repeat(128), `"quoted"`, "a, b", "~{}[]()<>@,;:\\/?=%00", "__proto__"];
  for (const key of good) {
    await using first = await answer(key);
    await using again = await answer(key);
    expect([key, first.status, again.status]).toEqual([key, 200, 200]);
    expect(first.body).not.toInclude("duplicate");
    expect(JSON.parse(again.body)).toEqual({ ...JSON.parse(first.body), duplicate: true });
  }
});

test("D8 a key is its user's: two users' same key are two events, one user's two tokens are one", async () => {
  await using guarded = await startJwtServer();
  const key = newKey();
  const as = (sub: string | undefined, jti: string): Settings => bearer(ALL, { sub, jti });
  const places = new Set<string>();
  for (const sub of ["ann", "bob", undefined]) {
    const first = await send(guarded.url, { data: sub ?? null }, key, as(sub, "1"));
    expect(first).not.toHaveProperty("duplicate");
    expect(await send(guarded.url, { data: "again" }, key, as(sub, "2"))).toEqual({
      ...first,
      duplicate: true,
    });
    places.add(JSON.stringify(first.events));
  }
  expect(places.size).toBe(3);
});

test("D8 the application's own keys are nobody else's: who has no user cannot use them up", async () => {
  await using guarded = await startJwtServer();
  const callers: readonly (readonly [LocalServer, Settings])[] = [
    [server, {}],
    [guarded, bearer(ALL, { sub: undefined })],
  ];
  for (const [{ url, headgate }, headers] of callers) {
    const idempotencyKey = newKey();
    await send(url, { data: "a stranger's" }, idempotencyKey, headers);
    const ours = await headgate.publish({ data: "ours" }, { idempotencyKey });
    expect(ours).not.toHaveProperty("duplicate");
    const again = await headgate.publish({ data: "ours" }, { idempotencyKey });
    expect(again).toEqual({ ...ours, duplicate: true });
  }
});

test("D8 keys are remembered over a restart, as long as the events", async () => {
  using directory = temporaryDirectory();
  const settings = { DATA_DIR: directory.path, KAFKA_TOPICS: "events,orders" };
  const body = [{ data: 1 }, { topic: "orders", data: 2 }];
  let first: Published;
  {
    await using before = await startLocalServer(settings);
    first = await send(before.url, body, "k");
  }
  await using after = await startLocalServer(settings);
  expect(await send(after.url, body, "k")).toEqual({ ...first, duplicate: true });
  expect(await storedSince(after.url, "events", 0)).toEqual([1]);
});

test("D8 a key is remembered when the process was killed right after it had answered", async () => {
  using directory = temporaryDirectory();
  const settings = { DATA_DIR: directory.path };
  let first: Published;
  {
    await using killed = await startServer(settings);
    first = await send(killed.url, { data: 1 }, "k");
    killed.kill("SIGKILL");
    await killed.exited;
  }
  await using after = await startLocalServer(settings);
  expect(await send(after.url, { data: 1 }, "k")).toEqual({ ...first, duplicate: true });
});

test("D8 after DATA_RETENTION a key is new again", async () => {
  await using brief = await startLocalServer({ DATA_RETENTION: "1s" });
  const first = await send(brief.url, { data: 1 }, "k");
  expect(await send(brief.url, { data: 1 }, "k")).toEqual({ ...first, duplicate: true });
  await until(async () => (await fetch(`${brief.url}/events/events/0/0`)).status === 404);
  const second = await send(brief.url, { data: 1 }, "k");
  expect(second).not.toHaveProperty("duplicate");
  expect(second.events).toEqual([{ topic: "events", partition: 0, offset: 1 }]);
});

test.skipIf(!canMount())(
  "D8 a publish that finds the disk full uses up no key, and what is stored is known all the same",
  async () => {
    using directory = temporaryDirectory();
    using _disk = mountDisk(directory.path, "4m");
    const ballast = join(directory.path, "ballast");
    writeFileSync(ballast, Buffer.alloc(1_500_000));
    await using full = await startLocalServer({ DATA_DIR: join(directory.path, "data") });
    const first = await send(full.url, { data: "stored" }, "stored");
    const body = { data: "x".repeat(60_000) };
    const attempt = (): Promise<Response> =>
      publish(full.url, [body, body], { "Idempotency-Key": "refused" });
    await until(async () => (await publish(full.url, body)).status !== 200);
    const refused = await attempt();
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ mayBeStored: false });
    expect((await attempt()).status).toBe(503);
    expect(await send(full.url, { data: "stored" }, "stored")).toEqual({
      ...first,
      duplicate: true,
    });
    rmSync(ballast);
    const stored = await send(full.url, [body, body], "refused");
    expect(stored).not.toHaveProperty("duplicate");
    expect(await send(full.url, [body, body], "refused")).toEqual({ ...stored, duplicate: true });
  },
);

const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OWN_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

test("a request's trace arrives in the headers of its records, unless they have one of their own", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?envelope=true");
  const key = newKey();
  const body = [
    { data: 1 },
    { data: 2, headers: { traceparent: OWN_TRACE } },
    { data: 3, headers: { TraceParent: OWN_TRACE, a: "b" } },
  ];
  const trace = { traceparent: TRACE, tracestate: "vendor=1" };
  const first = await send(server.url, body, key, trace);
  // Whoever retries may do so in another trace: the event is the first one's.
  const again = await send(server.url, body, key, { traceparent: OWN_TRACE });
  expect(again).toEqual({ ...first, duplicate: true });
  await publish(server.url, { data: 4 }, { traceparent: `${TRACE}-more`, tracestate: "vendor=1" });
  const seen = (await subscriber.recordsUpTo(4)).map(
    ({ data }) => (JSON.parse(data) as { headers: unknown }).headers,
  );
  expect(seen).toEqual([trace, { traceparent: OWN_TRACE }, { TraceParent: OWN_TRACE, a: "b" }, {}]);
});
