import { randomBytes } from "node:crypto";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { EventLog } from "../src/log/event-log.ts";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { ClientStream, publishNumbers } from "./support/client-stream.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { metric, publish, startLocalServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(60_000);

const numbers = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

test.concurrent.each([
  ["SIGKILL", ["ended", "unreachable"]],
  ["SIGTERM", ["shutdown"]],
] as const)(
  "G2 a stream goes on after %s and a new start, and misses nothing",
  async (signal, reasons) => {
    using data = temporaryDirectory();
    const settings = {
      DATA_DIR: data.path,
      SHUTDOWN_GRACE: "300",
      SSE_RETRY_MS: "100",
      ALLOW_ANONYMOUS_PUBLISH: "true",
    };
    await using first = await startServer(settings);
    using client = await ClientStream.live({ url: first.url });
    const publisher = publishNumbers(first.url);
    await client.has(20);
    first.kill(signal);
    await first.exited;
    await using _second = await startServer({ ...settings, PORT: String(first.port) });
    const before = publisher.acknowledged.length;
    await until(() => publisher.acknowledged.length > before + 20);
    const acknowledged = await publisher.stop();
    await client.until(() => client.data.at(-1) === acknowledged.at(-1));
    // What was never acknowledged may have been stored all the same.
    const got = client.data.filter((n) => acknowledged.includes(n as number));
    expect(got).toEqual([...acknowledged]);
    expect(new Set(client.data).size).toBe(client.data.length);
    expect(reasons).toContain(client.reasons[0] as never);
    expect(client.order.filter((each) => !each.startsWith("event"))).toEqual([
      "connection false",
      "live 0",
      "connection true",
      expect.stringMatching(/^live \d+$/),
    ]);
  },
);

test.concurrent("E1 who takes its time holds little: no more is read, the server cuts it, and nothing is lost", async () => {
  await using server = await startLocalServer({
    SSE_MAX_STALL: "500",
    SSE_CLEANUP_INTERVAL: "50",
    SSE_RETRY_MS: "50",
    // No heartbeat is to move the line.
    SSE_HEARTBEAT_INTERVAL: "60000",
  });
  let charactersRead = 0;
  const { promise: release, resolve: goOn } = Promise.withResolvers<void>();
  using client = await ClientStream.live({
    url: server.url,
    fetch: async (url, init) => {
      const headers = new Headers(init.headers);
      // What is packed would be on its way before anybody had to take it.
      headers.set("Accept-Encoding", "identity");
      const answer = await fetch(url, { ...init, headers });
      const counted = answer.body?.pipeThrough(
        new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
          transform: (piece, controller) => {
            charactersRead += piece.byteLength;
            controller.enqueue(piece);
          },
        }),
      );
      return new Response(counted, { headers: answer.headers });
    },
    onEvent: () => release,
  });
  const payload = randomBytes(100_000).toString("hex");
  const count = 150;
  for (let n = 0; n < count; n += 10) {
    const batch = numbers(10, n).map((each) => ({ data: { n: each, payload } }));
    expect((await publish(server.url, batch.slice(0, 5))).status).toBe(200);
    expect((await publish(server.url, batch.slice(5))).status).toBe(200);
  }
  const stalled = 'sse_streams_closed_total{reason="stalled"}';
  await until(async () => (await metric(server.url, stalled)) >= 1, { deadlineMs: 30_000 });
  // 8 MiB and what one read may bring, of 30 MB.
  expect(charactersRead).toBeLessThan((8 << 20) + (1 << 20));
  expect(client.events).toEqual([]);
  goOn();
  await client.has(count);
  expect(client.data.map((each) => (each as { n: number }).n)).toEqual(numbers(count));
  expect(client.order.filter((each) => each.startsWith("reset"))).toEqual([]);
});

test.concurrent("B2 a position that is none is told as a reset, before the events", async () => {
  await using server = await startLocalServer();
  await publish(server.url, { data: 1 });
  using client = await ClientStream.live({
    url: server.url,
    lastEventId: "no position",
    since: "earliest",
  });
  expect(client.order).toEqual(["connection false", "reset malformed", "event 1", "live 1"]);
  expect(client.stream.lastEventId).toEndWith("~1");
});

test.concurrent("B9 a position that is older than what is kept is told as a reset, in its place", async () => {
  await using server = await startLocalServer({ DATA_MAX_BYTES: "1MiB" });
  using before = await ClientStream.live({ url: server.url });
  await publish(server.url, { data: 1 });
  await before.has(1);
  before.stream.close();
  const payload = "x".repeat(20_000);
  for (let n = 0; n < 15; n += 1) {
    await publish(
      server.url,
      numbers(10, n * 10).map((each) => ({ data: { n: each, payload } })),
    );
  }
  await until(async () => (await fetch(`${server.url}/events/events/0/10`)).status === 404);
  using client = await ClientStream.live({
    url: server.url,
    lastEventId: before.stream.lastEventId,
  });
  expect(client.order.slice(0, 2)).toEqual(["connection false", "reset expired"]);
  // Retention may still be at work, and pass it by once more: that is told, too.
  let last = -1;
  let isTold = true;
  for (const each of client.order) {
    if (each.startsWith("reset ")) isTold = true;
    const [, n] = /^event \{"n":(\d+),/.exec(each) ?? [];
    if (n === undefined) continue;
    if (!isTold) expect(Number(n)).toBe(last + 1);
    expect(Number(n)).toBeGreaterThan(last);
    last = Number(n);
    isTold = false;
  }
  expect(last).toBe(149);
  expect(client.events.length).toBeWithin(1, 140);
});

test.concurrent("F11 a record that cannot be shown is told, and the stream goes on", async () => {
  using data = temporaryDirectory();
  {
    using log = new EventLog({ path: join(data.path, "embedded.db"), durable: true });
    log.append([
      { kind: "topic", topic: "events", tag: "t", offsets: [0] },
      {
        kind: "skipped",
        topic: "events",
        partition: 0,
        offset: 0,
        timestampMs: Date.now(),
        key: null,
        headers: [],
        reason: "too-large",
      },
    ]);
  }
  await using server = await startLocalServer({ DATA_DIR: data.path });
  await publish(server.url, { data: 1 });
  using client = await ClientStream.live({ url: server.url, since: "earliest" });
  expect(client.order.slice(1, 3)).toEqual(["skipped events/0/0 too-large", "event 1"]);
});

test.concurrent("a subscription brings what it asks for, and the position of what it does not", async () => {
  await using server = await startLocalServer({ SSE_HEARTBEAT_INTERVAL: "100" });
  const { url } = server;
  const subscriptions = {
    byKey: { keys: ["a,b", "é"] },
    byType: { types: ["order.*"] },
    byChannel: { channels: ["room"] },
    byUser: { userId: "ann" },
    enveloped: { envelope: true },
  };
  const names = Object.keys(subscriptions) as (keyof typeof subscriptions)[];
  const clients = await Promise.all(
    names.map((name) => ClientStream.live({ url, ...subscriptions[name] })),
  );
  await publish(url, [
    { key: "a,b", data: 1 },
    { key: "a", data: 2 },
    { key: "é", data: 3 },
    { type: "order.paid", data: 4 },
    { type: "orders", data: 5 },
    { data: 6, to: { channel: "room" } },
    { data: 7, to: { user: "ann" } },
    { key: "k", data: { big: 8 } },
  ]);
  const ends = (client: ClientStream): boolean =>
    client.stream.lastEventId?.endsWith("~8") ?? false;
  await Promise.all(clients.map((client) => client.until(() => ends(client))));
  const got = Object.fromEntries(names.map((name, i) => [name, clients[i]?.data]));
  expect(got).toMatchObject({
    byKey: [1, 3],
    byType: [4],
    byChannel: [1, 2, 3, 4, 5, 6, { big: 8 }],
    byUser: [1, 2, 3, 4, 5, 7, { big: 8 }],
  });
  expect(clients.at(-1)?.data.at(-1)).toMatchObject({
    topic: "events",
    key: "k",
    offset: 7,
    payload: { big: 8 },
  });
  for (const client of clients) client.stream.close();
});

test.concurrent.skipIf(isQuick)(
  "C6 tokens that live for seconds are renewed while events come: none lost, none twice, always open",
  async () => {
    await using server = await startJwtServer({ SSE_CLEANUP_INTERVAL: "20" });
    let given = 0;
    using client = await ClientStream.live({
      url: server.url,
      token: () => {
        const claims = { exp: Date.now() / 1000 + 8, jti: `${++given}`, headgate: ALL };
        return Promise.resolve(hmacToken(claims));
      },
    });
    const publisher = publishNumbers(server.url, { ...bearer(ALL) });
    await client.until(() => given >= 3);
    const before = client.events.length;
    await client.has(before + 50);
    const acknowledged = await publisher.stop();
    await client.has(acknowledged.length);
    expect(client.data).toEqual(acknowledged);
    expect(client.statuses.map(({ status }) => status)).toEqual(["connecting", "open"]);
    expect(client.order.filter((each) => each.startsWith("connection"))).toHaveLength(given);
  },
);

test.concurrent("C6 a token that is a string ends the stream when it ends", async () => {
  await using server = await startJwtServer({ SSE_CLEANUP_INTERVAL: "20" });
  const token = hmacToken({ exp: Date.now() / 1000 + 1.5, headgate: ALL });
  using client = await ClientStream.live({ url: server.url, token });
  await publish(server.url, { data: 1 }, { ...bearer(ALL) });
  await client.until(() => client.stream.status === "error");
  expect(client.data).toEqual([1]);
  expect(client.stream.error).toMatchObject({ reason: "token-expired", httpStatus: undefined });
  expect(client.stream.error?.message).not.toInclude(token);
});

test.concurrent("C6 a token that the server refuses ends the stream, and is not in what is told", async () => {
  await using server = await startJwtServer();
  const token = hmacToken({ exp: Date.now() / 1000 - 3600, headgate: ALL });
  using client = new ClientStream({ url: server.url, token });
  await client.until(() => client.stream.status === "error");
  expect(client.stream.error).toMatchObject({ reason: "refused", httpStatus: 401 });
  using renewing = new ClientStream({ url: server.url, token: () => token });
  await renewing.until(() => renewing.stream.status === "error");
  expect(renewing.reasons).toEqual(["refused"]);
  expect(JSON.stringify([client.statuses, renewing.statuses])).not.toInclude(token.slice(10, 60));
});

test.concurrent("E7 a stream that finds no room is told so, and comes back when there is", async () => {
  await using server = await startLocalServer({ SSE_MAX_CONNECTIONS: "1" });
  using first = await ClientStream.live({ url: server.url });
  using second = new ClientStream({ url: server.url });
  await second.until(() => second.statuses.at(-1)?.status === "reconnecting");
  const { why, delayMs, attempt } = second.statuses.at(-1)?.detail ?? {};
  expect(why?.reason).toBe("overloaded");
  expect(attempt).toBe(1);
  expect(delayMs).toBeWithin(5000, 15_001);
  expect(second.order).toEqual([]);
  first.stream.close();
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  second.stream.retryNow();
  await second.until(() => second.order.at(-1) === "live 0");
  expect(second.stream.status).toBe("open");
});

test.concurrent("what a server refuses ends the stream, with the server's words", async () => {
  await using server = await startLocalServer();
  for (const [options, httpStatus, words] of [
    [{ topics: ["nothing"] }, 404, "nothing"],
    [{ recent: 5000 }, 400, "recent"],
    [{ path: "/nowhere" }, 404, ""],
  ] as const) {
    using client = new ClientStream({ url: server.url, ...options });
    await client.until(() => client.stream.status === "error");
    expect(client.stream.error).toMatchObject({ reason: "refused", httpStatus });
    expect(client.stream.error?.message).toInclude(words);
  }
});

test.concurrent("other streams of the server are read alike", async () => {
  await using server = await startLocalServer();
  await publish(
    server.url,
    numbers(20).map((n) => ({ data: n })),
  );
  using recent = await ClientStream.live({ url: server.url, path: "/stream" });
  expect(recent.data).toEqual(numbers(10, 10));
  using dashboard = new ClientStream({ url: server.url, path: "/stream/dashboard" });
  await dashboard.has(1);
  expect(dashboard.events[0]).toMatchObject({ type: "dashboard-update", id: "1" });
});
