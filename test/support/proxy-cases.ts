import { expect, test } from "bun:test";
import { bearer } from "./callers.ts";
import { until } from "./feed.ts";
import { freePort } from "./kafka-node.ts";
import { type ProxiedServer, startBehind, startProxy } from "./proxied-server.ts";
import type { ProxiedStream } from "./proxy-client.ts";
import type { Proxy } from "./proxy-process.ts";
import { type LocalServer, publish, type Settings } from "./server.ts";
import { SECRET } from "./tokens.ts";

const SSE: Settings = { Accept: "text/event-stream" };
const JWT: Settings = { AUTH: "jwt", JWT_SECRET: SECRET, SSE_ALLOW_QUERY_TOKEN: "true" };
const STREAMS = ["/events", "/stream", "/stream/dashboard", "/events?topics=events"];
const ORIGIN = "https://app.example.com";

/** What any proxy of `deploy/` must do; each case has a server and a proxy of its own. */
export function testProxy(proxy: Proxy): void {
  test.concurrent("the first bytes are there at once, and each event before the next one is published", async () => {
    for (const headers of [{}, { "Accept-Encoding": "gzip" }]) {
      for (const http of ["1.1", "2"] as const) {
        await using behind = await startBehind(proxy);
        await using stream = await behind.client.live("/events", { headers, http });
        expect(stream.status).toBe(200);
        expect(stream.headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
        const encoding = "Accept-Encoding" in headers ? "gzip" : null;
        expect(stream.headers.get("content-encoding")).toBe(encoding);
        expect(stream.events[0]?.event).toBe("connection");
        await expectOneByOne(behind, stream);
        await using dashboard = await behind.client.open("/stream/dashboard", { headers, http });
        await dashboard.first("dashboard-update");
      }
    }
  });

  test.concurrent("heartbeats pass, and keep a stream that is quiet for longer than the proxy waits", async () => {
    const changes = { readTimeoutMs: 2000 };
    await using behind = await startBehind(proxy, { SSE_HEARTBEAT_INTERVAL: "200" }, changes);
    await using stream = await behind.client.live();
    await stream.until(() => stream.named("heartbeat").length >= 15);
    await expectOneByOne(behind, stream);
  });

  test.concurrent("without heartbeats a quiet stream is cut when the proxy has waited, and resumes", async () => {
    await using behind = await startBehind(proxy, {}, { readTimeoutMs: 500 });
    await using stream = await behind.client.live();
    await stream.ended();
    await publish(behind.server.url, { data: "missed" });
    const headers = { "Last-Event-ID": stream.lastEventId };
    await using resumed = await behind.client.live("/events", { headers });
    expect(resumed.records.map(({ data }) => data)).toEqual(['"missed"']);
  });

  test.concurrent("a client that leaves is seen by the server", async () => {
    await using behind = await startBehind(proxy);
    for (const http of ["1.1", "2"] as const) {
      await using stream = await behind.client.live("/events", { http });
      expect(await openStreams(behind.server)).toBe(1);
      await stream.cut();
      await until(async () => (await openStreams(behind.server)) === 0);
    }
  });

  test.concurrent("a large event is whole, published and read through the proxy with a token", async () => {
    await using behind = await startBehind(proxy, JWT);
    const may = bearer({ subscribe: ["*"], publish: ["*"] });
    await using stream = await behind.client.live("/events", { headers: may });
    const data = "é".repeat(100_000);
    const published = await behind.client.publish({ data }, may);
    expect(JSON.parse(published.body)).toMatchObject({ published: 1, receivers: 1 });
    expect((await stream.recordsUpTo(1))[0]?.data).toBe(JSON.stringify(data));
    expect((await behind.client.publish({ data })).status).toBe(401);
    expect((await behind.client.request("/events", { headers: SSE })).status).toBe(401);
  });

  test.concurrent("without tokens nobody publishes through it, or names themselves", async () => {
    await using behind = await startBehind(proxy);
    expect((await behind.client.publish({ data: 1 })).status).toBe(403);
    expect((await behind.client.request("/events?userId=ann")).status).toBe(403);
  });

  test.concurrent("a token in the query is read by the server, and in no log of the proxy", async () => {
    await using behind = await startBehind(proxy, JWT);
    const token = bearer({ subscribe: ["*"] }).Authorization.slice("Bearer ".length);
    const target = `/events?token=${token}`;
    await using left = await behind.client.live(target);
    await left.cut();
    await until(async () => (await openStreams(behind.server)) === 0);
    await behind.server.headgate.stop();
    // The proxy's own complaints are of interest too.
    await behind.client.request(target, { headers: SSE });
    await behind.client.request(target);
    expect(behind.proxy.logs()).not.toInclude(token.slice(-20));
  });

  test.concurrent.skipIf(process.platform !== "linux")(
    "a client counts by its own address, whatever it says of itself",
    async () => {
      await using behind = await startBehind(proxy, { SSE_MAX_CONNECTIONS_PER_IP: "1" });
      const { client } = behind;
      await using first = await client.live("/events", { from: "127.0.0.2" });
      for (const forged of ["203.0.113.7", "127.0.0.1", "203.0.113.7, 127.0.0.1"]) {
        const headers = { Accept: "*/*", "X-Forwarded-For": forged, Forwarded: `for=${forged}` };
        const refused = await client.request("/events", { from: "127.0.0.2", headers });
        expect(refused.status).toBe(429);
      }
      const headers = { "X-Forwarded-For": "127.0.0.2" };
      await using other = await client.live("/events", { from: "127.0.0.3", headers });
      expect([first, other].some(({ isEnded }) => isEnded)).toBe(false);
    },
  );

  test.concurrent("the server sees the name that clients use, and serves no other", async () => {
    await using behind = await startBehind(proxy);
    const health = await behind.client.request("/health");
    expect(JSON.parse(health.body)).toMatchObject({ status: "ok" });
    const headers = { Host: "attacker.example" };
    const other = await behind.client.request("/health", { headers });
    expect(other.body).not.toInclude('"ok"');
  });

  test.concurrent("while the server is away streams are told when to come back, and all else that it is away", async () => {
    await using proxied = await startProxy(proxy, await freePort());
    const { client } = proxied;
    for (const path of STREAMS) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await client.request(path, { method, headers: { ...SSE, Origin: ORIGIN } });
        expect(answer.status).toBe(200);
        expect(answer.body).toBe(method === "GET" ? "retry: 3000\n\n" : "");
        expect(Object.fromEntries(answer.headers)).toMatchObject({
          "content-type": "text/event-stream;charset=utf-8",
          "cache-control": "no-cache",
          "access-control-allow-origin": ORIGIN,
          "access-control-allow-credentials": "true",
          vary: "Origin",
        });
      }
      const unlisted = { ...SSE, Origin: "https://app.example.com.attacker.example" };
      const answer = await client.request(path, { headers: unlisted });
      expect(answer.status).toBe(200);
      expect(answer.headers.has("access-control-allow-origin")).toBe(false);
      expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
      expect((await client.request(path)).status).toBeWithin(502, 505);
    }
    const posted = await client.request("/events", { method: "POST", headers: SSE, body: "{}" });
    expect(posted.status).toBeWithin(502, 505);
    for (const path of [
      "/events/recent",
      "/events/events/0/1",
      "/readyz",
      "/events/",
      "/streams",
    ]) {
      expect((await client.request(path, { headers: SSE })).status).toBeWithin(502, 505);
    }
  });

  test.concurrent("a server that takes connections and answers nothing is away as well", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    await using proxied = await startProxy(proxy, silent.port, { readTimeoutMs: 500 });
    const streamed = await proxied.client.request("/events", { headers: SSE });
    expect(streamed).toMatchObject({ status: 200, body: "retry: 3000\n\n" });
    expect((await proxied.client.publish({ data: 1 })).status).toBeWithin(502, 505);
  });

  test.concurrent("a 502, 503 or 504 that the server itself gives is passed on as it is", async () => {
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url }) => {
        // A request of HTTP/1.0, such as HAProxy's for health, names no host.
        const { searchParams } = new URL(url, "http://localhost");
        const status = Number(searchParams.get("status") ?? 200);
        const headers = { "Content-Type": "application/problem+json", "Retry-After": "7" };
        return new Response('{"type":"/errors/of-its-own"}', { status, headers });
      },
    });
    await using proxied = await startProxy(proxy, server.port ?? 0);
    for (const status of [502, 503, 504]) {
      for (const [method, path] of [
        ["GET", "/events"],
        ["GET", "/stream/dashboard"],
        ["POST", "/events"],
        ["GET", "/readyz"],
      ] as const) {
        const target = `${path}?status=${status}`;
        const answer = await proxied.client.request(target, { method, headers: SSE });
        expect(answer.status).toBe(status);
        expect(answer.headers.get("content-type")).toBe("application/problem+json");
        expect(answer.headers.get("retry-after")).toBe("7");
        expect(answer.body).toBe('{"type":"/errors/of-its-own"}');
      }
    }
  });

  test.concurrent("a server that stops ends its streams through the proxy as it does without, and is away then", async () => {
    await using behind = await startBehind(proxy, { SHUTDOWN_GRACE: "500" });
    await using stream = await behind.client.live();
    const stopped = behind.server.headgate.stop();
    await stream.ended();
    expect(stream.events.at(-1)).toMatchObject({
      event: "close",
      data: '{"reason":"shutdown","reconnect":true}',
    });
    // A clean end, not a cut.
    expect(await stream.exited).toBe(0);
    await stopped;
    const answer = await behind.client.request("/events", { headers: SSE });
    expect(answer).toMatchObject({ status: 200, body: "retry: 3000\n\n" });
  });
}

async function expectOneByOne({ server }: ProxiedServer, stream: ProxiedStream): Promise<void> {
  for (const data of ["a", "b".repeat(5000), "c"]) {
    const count = stream.records.length + 1;
    expect((await publish(server.url, { data })).status).toBe(200);
    expect((await stream.recordsUpTo(count)).at(-1)?.data).toBe(`"${data}"`);
  }
}

async function openStreams(server: LocalServer): Promise<number> {
  return (await server.headgate.connections()).total;
}
