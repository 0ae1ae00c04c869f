import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ALL, bearer, startJwtServer, statusOf } from "./support/callers.ts";
import { until } from "./support/feed.ts";
import { type LocalServer, metric, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(20_000);

const STREAM = "/stream/dashboard";
const PATHS = [STREAM, "/api/dashboard", "/api/status"];
const UPDATES = { SSE_UPDATE_INTERVAL: "100", SSE_CLEANUP_INTERVAL: "20" };

describe("with AUTH=jwt", () => {
  let server: LocalServer;

  beforeAll(async () => {
    server = await startJwtServer({ ...UPDATES, SSE_ALLOW_QUERY_TOKEN: "true" });
  });

  afterAll(() => server[Symbol.asyncDispose]());

  test.each(PATHS)("%s needs the claim status", async (path) => {
    const { status, ...others } = ALL;
    const url = `${server.url}${path}`;
    expect(await statusOf(url)).toBe(401);
    expect(await statusOf(url, { Authorization: "Bearer nonsense" })).toBe(401);
    expect(await statusOf(url, bearer(others))).toBe(403);
    expect(await statusOf(url, bearer({ ...others, status: false }))).toBe(403);
    expect(await statusOf(url, bearer({ status: true }))).toBe(200);
    expect(await statusOf(`${url}?token=${hmacToken({ headgate: { status } })}`)).toBe(200);
  });

  test("C6 a stream whose token expires gets close, and the token has no second life", async () => {
    // A whole second: long enough for a busy machine to open a stream in.
    const headers = bearer({ status: true }, { exp: (Date.now() + 1000) / 1000 });
    await using subscriber = await TestSubscriber.open(server.url, STREAM, { headers });
    await subscriber.first("dashboard-update");
    await subscriber.ended();
    expect(subscriber.events.at(-1)?.data).toBe('{"reason":"token-expired","reconnect":false}');
    expect(subscriber.failure).toBeUndefined();
    expect(await statusOf(`${server.url}${STREAM}`, headers)).toBe(401);
  });
});

test("a stream ends at SSE_MAX_CONNECTION_AGE", async () => {
  await using server = await startLocalServer({ ...UPDATES, SSE_MAX_CONNECTION_AGE: "300" });
  await using subscriber = await TestSubscriber.open(server.url, STREAM);
  await subscriber.ended();
  expect(subscriber.named("dashboard-update").length).toBeGreaterThan(0);
  expect(subscriber.events.at(-1)?.data).toBe('{"reason":"max-age","reconnect":true}');
});

test.each([
  ["SSE_MAX_CONNECTIONS", "overloaded", 503],
  ["SSE_MAX_CONNECTIONS_PER_IP", "too-many-connections", 429],
])("E7 dashboards count with event streams for %s", async (setting, reason, status) => {
  await using server = await startLocalServer({ ...UPDATES, [setting]: "2" });
  const { url } = server;
  const first = await TestSubscriber.open(url, STREAM);
  await first.first("dashboard-update");
  await using second = await TestSubscriber.live(url);
  expect(await metric(url, "sse_connected_clients")).toBe(2);
  for (const path of [STREAM, "/events"]) {
    await using told = await TestSubscriber.open(url, path);
    await told.ended();
    expect(told.events.at(-1)?.data).toBe(`{"reason":"${reason}","reconnect":true}`);
    expect(await statusOf(`${url}${path}`)).toBe(status);
  }
  expect(await metric(url, `sse_streams_shed_total{reason="${reason}"}`)).toBe(4);
  expect(second.isEnded).toBe(false);
  // Its end gives the slot back.
  await first.cut();
  await until(async () => (await metric(url, "sse_connected_clients")) === 1);
  await using third = await TestSubscriber.open(url, STREAM);
  await third.first("dashboard-update");
});

test("C10 pages of an allowed origin may read the dashboard, and no others", async () => {
  await using server = await startLocalServer({ SSE_CORS_ORIGIN: "https://good.example" });
  const allowed = async (path: string, origin: string): Promise<string | null> => {
    const response = await fetch(`${server.url}${path}`, {
      method: "HEAD",
      headers: { Origin: origin },
    });
    expect(response.status).toBe(200);
    return response.headers.get("access-control-allow-origin");
  };
  for (const path of PATHS) {
    expect(await allowed(path, "https://good.example")).toBe("https://good.example");
    expect(await allowed(path, "https://good.example.evil.example")).toBeNull();
  }
});

test("HEAD has the headers of the stream and opens none; other methods are refused", async () => {
  await using server = await startLocalServer();
  const url = `${server.url}${STREAM}`;
  const head = await fetch(url, { method: "HEAD" });
  expect(head.headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
  expect(await head.text()).toBe("");
  for (const path of PATHS) {
    const refused = await fetch(`${server.url}${path}`, { method: "POST" });
    expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  }
  expect(await metric(server.url, "sse_streams_opened_total")).toBe(0);
});
