import { expect, setDefaultTimeout, test } from "bun:test";
import { bearer, startJwtServer } from "./support/callers.ts";
import { until } from "./support/feed.ts";
import { RawPeer, stalledReader } from "./support/peers.ts";
import {
  type LocalServer,
  metric,
  publish,
  type Settings,
  startLocalServer,
} from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(20_000);

const SSE: Settings = { Accept: "text/event-stream" };

/** A stream that must be let in. */
async function open(server: LocalServer, target?: string, headers = SSE): Promise<TestSubscriber> {
  const subscriber = await TestSubscriber.live(server.url, target, { headers });
  expect(subscriber.named("connection")).toHaveLength(1);
  return subscriber;
}

/** The status and the problem's type with which a stream is refused that names no event streams. */
async function refusal(
  server: LocalServer,
  target = "/events",
  headers: Settings = { Accept: "*/*" },
): Promise<[status: number, type: string]> {
  const response = await fetch(`${server.url}${target}`, { headers });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(Number(response.headers.get("retry-after"))).toBeWithin(5, 16);
  const { type, status } = (await response.json()) as { type: string; status: number };
  expect(status).toBe(response.status);
  return [status, type];
}

/** All slots are free, and none is free twice: so many streams are let in, and not one more. */
async function expectSlots(server: LocalServer, limit: number, headers = SSE): Promise<void> {
  await until(async () => (await server.headgate.connections()).total === 0);
  const streams = await Promise.all(
    Array.from({ length: limit }, () => open(server, "/events", headers)),
  );
  const [status] = await refusal(server, "/events", { ...headers, Accept: "*/*" });
  expect(status).toBe(503);
  for (const stream of streams) await stream.cut();
  await until(async () => (await server.headgate.connections()).total === 0);
}

const LIMITS = [
  ["in all", { SSE_MAX_CONNECTIONS: "2" }, "overloaded", 503],
  ["of one address", { SSE_MAX_CONNECTIONS_PER_IP: "2" }, "too-many-connections", 429],
  ["of one user", { SSE_MAX_CONNECTIONS_PER_USER: "2" }, "too-many-connections", 429],
] as const;

test.each(LIMITS)(
  "E7 beyond the streams %s an EventSource is told when to come back, others get a status",
  async (_, settings, reason, status) => {
    await using server = await startLocalServer(settings);
    const target = "/events?userId=ann";
    await using first = await open(server, target);
    await using second = await open(server, target);
    const retries = new Set<number | undefined>();
    for (const accept of [
      "text/event-stream",
      "text/event-stream, */*;q=0.1",
      "application/x-ndjson, text/event-stream;q=0.1",
    ]) {
      for (const path of [target, "/stream?userId=ann"]) {
        await using told = await TestSubscriber.open(server.url, path, {
          headers: { Accept: accept },
        });
        await told.ended();
        expect(told.failure).toBeUndefined();
        expect(told.response.status).toBe(200);
        expect(told.response.headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
        expect(told.events).toMatchObject([
          { event: "close", data: `{"reason":"${reason}","reconnect":true}`, id: "" },
        ]);
        expect(told.retries).toHaveLength(1);
        expect(told.retries[0]).toBeWithin(5000, 15_001);
        retries.add(told.retries[0]);
      }
    }
    // Those who are turned away together do not come back together.
    expect(retries.size).toBeGreaterThan(1);
    for (const accept of ["*/*", "application/x-ndjson", "text/html", "text/event-stream;q=0"]) {
      expect(await refusal(server, target, { Accept: accept })).toEqual([
        status,
        `/errors/${reason}`,
      ]);
    }
    expect([first, second].some(({ isEnded }) => isEnded)).toBe(false);
    await first.cut();
    await until(async () => (await server.headgate.connections()).total === 1);
    await using third = await open(server, target);
    expect((await refusal(server, target))[0]).toBe(status);
    await publish(server.url, { data: 1 });
    for (const subscriber of [second, third]) await subscriber.recordsUpTo(1);
  },
);

test("E7 one user's streams are counted, and neither other users' nor nobody's", async () => {
  await using server = await startLocalServer({ SSE_MAX_CONNECTIONS_PER_USER: "1" });
  await using ann = await open(server, "/events?userId=ann&clientId=a");
  expect((await refusal(server, "/events?userId=ann&clientId=b"))[0]).toBe(429);
  await using bob = await open(server, "/events?userId=bob");
  await using nobody = await open(server);
  await using noneOther = await open(server);
  expect([ann, bob, nobody, noneOther].some(({ isEnded }) => isEnded)).toBe(false);
});

test("E7 a user is who the token says, whichever token, and whatever the address", async () => {
  await using server = await startJwtServer({
    SSE_MAX_CONNECTIONS_PER_USER: "1",
    TRUSTED_PROXIES: "127.0.0.0/8",
  });
  const as = (sub: string, address: string): Settings => ({
    ...bearer({ subscribe: ["*"] }, { sub, jti: address }),
    "X-Forwarded-For": address,
  });
  await using ann = await open(server, "/events", { ...SSE, ...as("ann", "192.0.2.1") });
  expect((await refusal(server, "/events", as("ann", "192.0.2.2")))[0]).toBe(429);
  await using bob = await open(server, "/events", { ...SSE, ...as("bob", "192.0.2.1") });
  expect([ann, bob].some(({ isEnded }) => isEnded)).toBe(false);
});

const forwarded = (address: string): Settings => ({ ...SSE, "X-Forwarded-For": address });

test("C16 X-Forwarded-For of anybody but a trusted proxy dodges no limit", async () => {
  for (const settings of [{}, { TRUSTED_PROXIES: "10.0.0.0/8" }]) {
    await using server = await startLocalServer({ SSE_MAX_CONNECTIONS_PER_IP: "1", ...settings });
    await using first = await open(server, "/events", forwarded("192.0.2.1"));
    for (const address of ["192.0.2.2", "10.0.0.1", "127.0.0.1", "2001:db8::1", "nonsense"]) {
      const headers = { Accept: "*/*", "X-Forwarded-For": address, Forwarded: `for=${address}` };
      expect((await refusal(server, "/events", headers))[0]).toBe(429);
    }
    expect(first.isEnded).toBe(false);
  }
});

test("C16 behind a trusted proxy the address counts that it adds, and nothing that stands before it", async () => {
  await using server = await startLocalServer({
    SSE_MAX_CONNECTIONS_PER_IP: "1",
    TRUSTED_PROXIES: "127.0.0.0/8, 10.0.0.0/8",
  });
  const refused = async (address: string): Promise<number> =>
    (await refusal(server, "/events", { Accept: "*/*", "X-Forwarded-For": address }))[0];
  await using one = await open(server, "/events", forwarded("192.0.2.1"));
  await using other = await open(server, "/events", forwarded("198.51.100.9, 192.0.2.2, 10.1.2.3"));
  await using network = await open(server, "/events", forwarded("2001:db8:1:2::1"));
  expect(await refused("192.0.2.1")).toBe(429);
  expect(await refused("203.0.113.5, 192.0.2.1")).toBe(429);
  expect(await refused("192.0.2.2, 10.9.9.9")).toBe(429);
  // Whoever has one IPv6 address has its whole /64.
  expect(await refused("2001:db8:1:2:ffff::9")).toBe(429);
  await using neighbour = await open(server, "/events", forwarded("2001:db8:1:3::1"));
  expect([one, other, network, neighbour].some(({ isEnded }) => isEnded)).toBe(false);
});

const LIMIT = 4;

/** Every way in which streams end, or never begin. */
const ENDS: readonly (readonly [string, Settings, (server: LocalServer) => Promise<void>])[] = [
  [
    "that its client cuts",
    {},
    async (server) => {
      const streams = await Promise.all(Array.from({ length: LIMIT }, () => open(server)));
      await Promise.all(streams.map((stream) => stream.cut()));
    },
  ],
  [
    "whose connection is reset",
    {},
    async ({ port }) => {
      for (let i = 0; i < LIMIT; i += 1) {
        const peer = await RawPeer.subscribe(port);
        peer.socket.resetAndDestroy();
      }
    },
  ],
  [
    "whose client says that it will send nothing more",
    {},
    async ({ port }) => {
      for (let i = 0; i < LIMIT; i += 1) (await RawPeer.subscribe(port)).socket.end();
    },
  ],
  [
    "that stalls",
    { SSE_MAX_STALL: "300", SSE_CLEANUP_INTERVAL: "50", SSE_HEARTBEAT_INTERVAL: "100" },
    async (server) => {
      const stalled = 'sse_streams_closed_total{reason="stalled"}';
      const before = await metric(server.url, stalled);
      const peers = await Promise.all(
        Array.from({ length: LIMIT }, () => stalledReader(server.port)),
      );
      for (let i = 0; i < 4; i += 1) {
        await server.headgate.publish(
          Array.from({ length: 10 }, () => ({ data: "x".repeat(50_000) })),
        );
      }
      await until(async () => (await metric(server.url, stalled)) === before + LIMIT);
      for (const peer of peers) peer.socket.destroy();
    },
  ],
  [
    "that has reached its age",
    { SSE_MAX_CONNECTION_AGE: "1000", SSE_CLEANUP_INTERVAL: "20" },
    async (server) => {
      const streams = await Promise.all(Array.from({ length: LIMIT }, () => open(server)));
      await Promise.all(streams.map((stream) => stream.ended()));
    },
  ],
  [
    "whose client is gone before the first byte",
    {},
    async ({ port }) => {
      const request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
      for (let i = 0; i < 50; i += 1) (await RawPeer.send(port, request)).socket.destroy();
    },
  ],
  [
    "that is only asked for by HEAD",
    {},
    async ({ url }) => {
      for (let i = 0; i < 3 * LIMIT; i += 1) {
        const response = await fetch(`${url}/events`, { method: "HEAD", headers: SSE });
        expect(response.status).toBe(200);
      }
    },
  ],
  [
    "that is refused for what it asks",
    {},
    async ({ url }) => {
      for (let i = 0; i < 3 * LIMIT; i += 1) {
        expect((await fetch(`${url}/events?topics=none`, { headers: SSE })).status).toBe(404);
      }
    },
  ],
  [
    "that is beyond the limit",
    {},
    async (server) => {
      const streams = await Promise.all(Array.from({ length: LIMIT }, () => open(server)));
      for (let i = 0; i < LIMIT; i += 1) {
        await (await TestSubscriber.open(server.url)).ended();
        await refusal(server);
      }
      expect((await server.headgate.connections()).total).toBe(LIMIT);
      await Promise.all(streams.map((stream) => stream.cut()));
    },
  ],
];

test.each(ENDS)("E5 a stream %s gives back its slot, once", async (_, settings, end) => {
  await using server = await startLocalServer({ SSE_MAX_CONNECTIONS: String(LIMIT), ...settings });
  await end(server);
  await expectSlots(server, LIMIT);
  await end(server);
  await expectSlots(server, LIMIT);
});

test("E5 C6 a stream whose token expires gives back its slots, in all, of the address and of the user", async () => {
  await using server = await startJwtServer({
    SSE_MAX_CONNECTIONS: "1",
    SSE_MAX_CONNECTIONS_PER_IP: "1",
    SSE_MAX_CONNECTIONS_PER_USER: "1",
    SSE_CLEANUP_INTERVAL: "20",
  });
  const grants = { subscribe: ["*"] };
  const short = { ...SSE, ...bearer(grants, { exp: (Date.now() + 1000) / 1000 }) };
  await using expiring = await open(server, "/events", short);
  await expiring.ended();
  expect(expiring.events.at(-1)?.data).toInclude("token-expired");
  await expectSlots(server, 1, { ...SSE, ...bearer(grants) });
});

test("E5 streams that a stop has closed hold no slots of the server that starts again", async () => {
  await using server = await startLocalServer({
    SSE_MAX_CONNECTIONS: String(LIMIT),
    SHUTDOWN_GRACE: "700",
  });
  const streams = await Promise.all(Array.from({ length: LIMIT }, () => open(server)));
  await server.headgate.stop();
  for (const stream of streams) {
    await stream.ended();
    expect(stream.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
  }
  await server.headgate.start();
  await expectSlots({ ...server, url: server.headgate.url }, LIMIT);
});

test("E5 of three hundred that come at once ten are let in, ever, and when they are gone nothing is held", async () => {
  await using server = await startLocalServer({ SSE_MAX_CONNECTIONS: "10" });
  for (let round = 0; round < 3; round += 1) {
    let most = 0;
    const watch = setInterval(() => {
      void server.headgate.connections().then(({ total }) => {
        most = Math.max(most, total);
      });
    }, 1);
    const peers = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        RawPeer.subscribe(server.port, "/events", i % 2 ? "Accept: text/event-stream\r\n" : ""),
      ),
    );
    const isSettled = ({ stream, status }: RawPeer): boolean =>
      status !== 200 || stream.named("live").length > 0 || stream.named("close").length > 0;
    for (const peer of peers) await peer.stream.until(() => isSettled(peer));
    clearInterval(watch);
    expect(most).toBe(10);
    const isIn = ({ stream }: RawPeer): boolean => stream.named("live").length > 0;
    expect(peers.filter(isIn)).toHaveLength(10);
    // Not one is left without a word: a status, or a retry and a close.
    for (const { status, stream } of peers.filter((peer) => !isIn(peer))) {
      if (status === 503) continue;
      expect(stream.retries[0]).toBeWithin(5000, 15_001);
      expect(stream.named("close")[0]?.data).toBe('{"reason":"overloaded","reconnect":true}');
    }
    for (const { socket } of peers) socket.destroy();
    await expectSlots(server, 10);
  }
  expect(await metric(server.url, "sse_connected_clients")).toBe(0);
});
