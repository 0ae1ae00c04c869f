import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { startFreshClients } from "../loadtest/fresh-clients.ts";
import { generate, parseTarget } from "../loadtest/generate.ts";
import { obstacles } from "../loadtest/limits.ts";
import type { MachineLimits } from "../loadtest/limits.ts";
import { buildPrograms, canBuildPrograms } from "../loadtest/programs.ts";
import { measureStorm } from "../loadtest/storm.ts";
import { measureThresholds, thresholdsOf } from "../loadtest/thresholds.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { kafkaAvailable } from "./support/kafka.ts";
import { metric, startLocalServer } from "./support/server.ts";

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe.skipIf(isQuick || !canBuildPrograms())("the load tests", () => {
  beforeAll(buildPrograms);

  test("the command loads a running server, and says what its streams got", async () => {
    await using server = await startLocalServer();
    const { target, path } = parseTarget(server.url);
    const seen: string[] = [];
    const options = { connections: 20, processes: 2, path, warmup: 0, seconds: 0.5 };
    const result = await generate(target, options, ({ phase }) => seen.push(phase));
    expect(result).toMatchObject({ connections: 20, ok: 20, failed: 0, openAtEnd: 20 });
    expect(new Set(seen)).toEqual(new Set(["warmup", "measure", "drain", "finished"]));
  });

  test.each(["term", "kill"] as const)(
    "after a %s all subscribers are live again, with all that came meanwhile",
    async (stop) => {
      const settings = { subscribers: 30, events: 50, bytes: 10, spread: 0.3, workers: 1, gzip: 0 };
      const result = await measureStorm({ ...settings, limit: 30, stop });
      const { subscribers, fresh, eventsEach } = result;
      expect(subscribers).toMatchObject({ ok: 30, lost: 30, returned: 30, away: 0, resets: 0 });
      expect(subscribers).toMatchObject({ gaps: 0, repeats: 0, events: 30 * eventsEach });
      expect(subscribers).toMatchObject({ lowestLast: eventsEach - 1, openAtEnd: 30 });
      expect(eventsEach).toBeGreaterThan(50);
      expect(result.sinceListeningMs).toBeGreaterThan(0);
      expect(result.sinceStartMs).toBeGreaterThan(result.sinceListeningMs);
      expect(result.highestKb).toBeGreaterThanOrEqual(result.listeningKb);
      expect(fresh.failed).toBe(0);
    },
    30_000,
  );

  test.skipIf(!kafkaAvailable())(
    "a small load from Kafka meets the thresholds, and loses nothing",
    async () => {
      const { thresholds, subscribers, publisher } = await measureThresholds({
        streams: 40,
        workers: 1,
        processes: 2,
        seconds: 2,
        rate: 20,
        bytes: 10,
        ramp: 500,
        gzip: 0,
        warmup: 1,
        drain: 1,
      });
      expect(thresholds.map(({ isMet }) => isMet)).toEqual([true, true, true, true]);
      expect(subscribers).toMatchObject({ gaps: 0, repeats: 0, openAtEnd: 40 });
      expect(subscribers.events).toBe(40 * publisher.published);
    },
    90_000,
  );
});

test("a client that has had its first event leaves, and one that is turned away was not served", async () => {
  await using server = await startLocalServer();
  const served = startFreshClients(`${server.url}/events`, 20);
  const left = (): Promise<number> => metric(server.url, "sse_connection_duration_seconds_count");
  await until(async () => (await left()) > 2);
  const { served: count, failed, firstEventMs } = await served.stop();
  expect(count).toBeGreaterThan(2);
  expect(failed).toBe(0);
  expect(firstEventMs.max).toBeGreaterThanOrEqual(firstEventMs.p50);
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);

  let asked = 0;
  const full = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked += 1;
      return new Response('event: close\ndata: {"reason":"overloaded"}\n\n');
    },
  });
  stops.push(() => full.stop(true));
  const turnedAway = startFreshClients(full.url.href, 10);
  await until(() => asked > 2);
  expect(await turnedAway.stop()).toMatchObject({ served: 0 });
});

test("a target is an address of this machine, with a path or without", () => {
  expect(parseTarget("http://127.0.0.1:3000")).toEqual({
    target: "127.0.0.1:3000",
    path: "/events",
  });
  expect(parseTarget("127.0.0.1:3000")).toEqual({ target: "127.0.0.1:3000", path: "/events" });
  expect(parseTarget("http://localhost:3000/stream?types=a,b")).toEqual({
    target: "127.0.0.1:3000",
    path: "/stream?types=a,b",
  });
  for (const text of [
    "",
    "http://10.0.0.1:3000",
    "https://127.0.0.1",
    "example.com",
    "128.0.0.1",
  ]) {
    expect(() => parseTarget(text)).toThrow("127.0.0.0/8");
  }
});

test("what a machine lacks is said before a load is begun", () => {
  const limits: MachineLimits = {
    openFiles: 20_000,
    allFiles: 1_000_000,
    waiting: 4_096,
    ports: [32_768, 60_999],
  };
  const load = { streams: 50_000, serverProcesses: 3, generatorProcesses: 3 };
  expect(obstacles(limits, load)).toEqual([]);
  const lacks = (changed: Partial<MachineLimits>): string =>
    obstacles({ ...limits, ...changed }, load).join("\n");
  expect(lacks({ openFiles: 10_000 })).toContain("ulimit -Hn 17801");
  expect(lacks({ allFiles: 100_000 })).toContain("fs.file-max");
  expect(lacks({ waiting: 128 })).toContain("net.core.somaxconn");
  expect(lacks({ ports: [60_000, 61_000] })).toContain("ip_local_port_range");
  expect(obstacles(limits, { ...load, serverProcesses: 2 })).toHaveLength(1);
});

test("each threshold fails for itself", () => {
  const quantiles = { count: 1_000, p50: 1, p90: 1, p95: 1_000, p99: 1, max: 1 };
  const good = {
    connections: 1_000,
    failed: 0,
    closedByServer: 0,
    openAtEnd: 1_000,
    firstByteUs: quantiles,
    firstEventUs: quantiles,
  };
  const failing = (changed: Partial<typeof good>): string[] =>
    thresholdsOf({ ...good, ...changed })
      .filter(({ isMet }) => !isMet)
      .map(({ name }) => name);
  expect(failing({})).toEqual([]);
  expect(failing({ openAtEnd: 950 })).toEqual(["streams opened"]);
  expect(failing({ failed: 300, closedByServer: 200 })).toEqual(["connection errors"]);
  expect(failing({ firstByteUs: { ...quantiles, p95: 5_000_001 } })).toHaveLength(1);
  expect(failing({ firstEventUs: { ...quantiles, p95: 3_000_001 } })).toHaveLength(1);
  expect(failing({ firstEventUs: { ...quantiles, count: 0 } })).toHaveLength(1);
});
