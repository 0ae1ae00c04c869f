import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { ServerStatus } from "../src/dashboard/dashboard.ts";
import type { PublishResult } from "../src/publishing/publishing.ts";
import { until } from "./support/feed.ts";
import { GzipReader } from "./support/gzip-reader.ts";
import { RawPeer } from "./support/peers.ts";
import { metric, publish } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import {
  askWorker,
  cutAll,
  prepareQuestion,
  servedBy,
  startWorkers,
  subscribeTo,
  twoOf,
  type WorkersServer,
} from "./support/workers.ts";

// Each server is three processes: on a busy machine they take their time.
setDefaultTimeout(30_000);

/** A topic for each test, so that no test sees another one's events. */
const TOPICS = ["same", "replay", "whom", "figures", "keys", "own"];

const HEARTBEAT_MS = 200;
const UPDATE_MS = 200;

let server: WorkersServer;
let workers: readonly [number, number];

beforeAll(async () => {
  server = await startWorkers({
    KAFKA_TOPICS: TOPICS.join(","),
    SSE_HEARTBEAT_INTERVAL: String(HEARTBEAT_MS),
    SSE_UPDATE_INTERVAL: String(UPDATE_MS),
  });
  workers = twoOf(server);
});

afterAll(() => server[Symbol.asyncDispose]());

async function publishAll(url: string, body: unknown): Promise<void> {
  const response = await publish(url, body);
  expect(response.status).toBe(200);
  await response.text();
}

test("streams on all workers get the same events under the same ids, in the same order, once each", async () => {
  const peers = await Promise.all(
    Array.from({ length: 30 }, () => RawPeer.subscribe(server.port, "/events?topics=same")),
  );
  for (const { stream } of peers) await stream.first("live");
  expect(new Set(servedBy(peers, workers))).toEqual(new Set(workers));
  const sent: string[] = [];
  const posters = Array.from({ length: 8 }, async (_, poster) => {
    for (let i = 0; i < 10; i += 1) {
      const events = Array.from({ length: 1 + (i % 4) }, (_each, n) => ({
        topic: "same",
        data: `${poster}-${i}-${n}`,
      }));
      sent.push(...events.map(({ data }) => JSON.stringify(data)));
      await publishAll(server.url, events);
    }
  });
  await Promise.all(posters);
  const [first = []] = await Promise.all(
    peers.map(({ stream }) => stream.recordsUpTo(sent.length)),
  );
  expect(first.map(({ data }) => data).toSorted()).toEqual(sent.toSorted());
  expect(new Set(first.map(({ id }) => id)).size).toBe(sent.length);
  const withoutTime = (events: typeof first): unknown =>
    events.map(({ event, data, id }) => [event, data, id]);
  for (const { stream } of peers) {
    expect(withoutTime(stream.records)).toEqual(withoutTime(first));
    expect(stream.oddities).toEqual([]);
  }
  await cutAll(peers);
});

test("every worker replays, resumes, looks up and explains alike", async () => {
  const events = Array.from({ length: 20 }, (_, n) => ({ topic: "replay", key: `k${n}`, data: n }));
  await publishAll(server.url, events);
  const answers = await Promise.all(
    workers.map(async (pid) => {
      const ask = async (target: string): Promise<unknown> =>
        JSON.parse((await askWorker(server, pid, target)).text);
      const newest = "/events/recent?topics=replay&limit=1";
      // It is told of the publish in the same moment as the publisher.
      await until(async () => (await askWorker(server, pid, newest)).text.includes('"offset":19'));
      await using all = await subscribeTo(server, pid, "/events?topics=replay&since=earliest");
      await using last = await subscribeTo(server, pid, "/events?topics=replay&recent=5");
      await using keyed = await subscribeTo(server, pid, "/events?topics=replay&recent=9&keys=k3");
      for (const { stream } of [all, last, keyed]) await stream.first("live");
      const target = "/events?topics=replay";
      const from = `Last-Event-ID: ${all.stream.records[11]?.id}\r\n`;
      await using resumed = await subscribeTo(server, pid, target, from);
      await resumed.stream.first("live");
      const described = [all, last, keyed, resumed].map(({ stream }) => ({
        data: stream.records.map(({ data }) => Number(data)),
        id: stream.lastEventId,
        live: stream.named("live").map(({ data }) => data),
      }));
      expect(described.map(({ data }) => data)).toEqual([
        events.map(({ data }) => data),
        [15, 16, 17, 18, 19],
        [3],
        [12, 13, 14, 15, 16, 17, 18, 19],
      ]);
      const { status } = await askWorker(server, pid, "/events/replay/0/20");
      expect(status).toBe(404);
      return [
        described,
        await ask("/events/replay/0/7"),
        await ask("/events/recent?topics=replay&limit=3"),
        await ask("/events/explain?topics=replay&recent=4"),
      ];
    }),
  );
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.[2]).toMatchObject({ events: [{ payload: 19 }, { payload: 18 }, {}] });
});

test("every worker gives lines of JSON, gzip and heartbeats", async () => {
  await publishAll(server.url, { topic: "replay", data: "newest" });
  const zipped = await Promise.all(
    Array.from({ length: 12 }, () => GzipReader.live(server.port, "/events?topics=replay")),
  );
  expect(new Set(servedBy(zipped, workers))).toEqual(new Set(workers));
  await publishAll(server.url, { topic: "replay", data: "x".repeat(2000) });
  for (const reader of zipped) {
    const [record] = await reader.recordsUpTo(1);
    expect(record?.data).toHaveLength(2002);
    expect(reader.head).toInclude("content-encoding: gzip");
    expect(reader.wireBytes).toBeLessThan(1500);
  }
  await cutAll(zipped);
  for (const pid of workers) {
    const accept = "Accept: application/x-ndjson\r\n";
    await using lines = await subscribeTo(server, pid, "/events?topics=replay&recent=1", accept);
    await until(() => lines.body.includes('"event":"live"'));
    expect(lines.head).toInclude("application/x-ndjson");
    await using quiet = await subscribeTo(server, pid, "/events?topics=replay&types=none");
    const { id } = await quiet.stream.first("live");
    await publishAll(server.url, { topic: "replay", data: "not for it" });
    await quiet.stream.until(() => quiet.stream.named("heartbeat").some((beat) => beat.id !== id));
    expect(quiet.stream.records).toEqual([]);
  }
});

test("receivers are counted over all workers, whichever is asked", async () => {
  const targets = ["", "&userId=ann", "&userId=ann&channels=news", "&clientId=till"];
  const peers = await Promise.all(
    workers.flatMap((pid) =>
      targets.map((target) => subscribeTo(server, pid, `/events?topics=whom${target}`)),
    ),
  );
  peers.push(await subscribeTo(server, workers[0], "/events?topics=whom&channels=sport"));
  for (const { stream } of peers) await stream.first("live");
  const expected = [
    [undefined, 9],
    [{ user: "ann" }, 4],
    [{ channel: "news" }, 2],
    [{ channel: "sport" }, 1],
    [{ user: "ann", channel: ["news", "sport"], client: "till" }, 7],
    [{ user: "bob" }, 0],
  ] as const;
  let total = 0;
  for (const [to, receivers] of expected) {
    for (const pid of workers) {
      const body = { topic: "whom", data: total, ...(to && { to }) };
      const { status, text } = await askWorker(server, pid, "/events", { body });
      expect([status, JSON.parse(text)]).toMatchObject([200, { published: 1, receivers }]);
      total += receivers;
    }
  }
  const received = (): number => peers.reduce((sum, { stream }) => sum + stream.records.length, 0);
  await until(() => received() === total);
  await cutAll(peers);
});

test("status, metrics and dashboard are over all workers, whichever is asked", async () => {
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  const sentBefore = await metric(server.url, "sse_events_sent_total");
  const [one, other] = workers;
  const peers = await Promise.all([
    ...[one, other].map((pid) => subscribeTo(server, pid, "/events?topics=figures&userId=ann")),
    subscribeTo(server, one, "/events?topics=figures&userId=bob"),
    ...[one, other].map((pid) => subscribeTo(server, pid, "/events?topics=figures")),
  ]);
  for (const { stream } of peers) await stream.first("live");
  await publishAll(
    server.url,
    [1, 2, 3].map((data) => ({ topic: "figures", data })),
  );
  for (const { stream } of peers) await stream.recordsUpTo(3);
  await using dashboard = await subscribeTo(server, one, "/stream/dashboard");
  await dashboard.stream.first("dashboard-update");
  // A connected client each: the stream of the dashboard is one too.
  const largest = Math.max(...[server.pid, ...workers].map(residentBytes));
  for (const pid of workers) {
    const ask = async (target: string): Promise<string> => {
      const { status, text } = await askWorker(server, pid, target);
      expect([target, status]).toEqual([target, 200]);
      return text;
    };
    // The cast holds: docs/protocol.md.
    const { data } = JSON.parse(await ask("/api/status")) as { data: ServerStatus };
    expect(data).toMatchObject({ isRunning: true, connectedClients: 6, activeUsers: 2 });
    expect(data.eventsSent).toBeGreaterThan(sentBefore + 15);
    const page = await ask("/metrics");
    const value = (name: string): number =>
      Number(new RegExp(`^${name} (.*)$`, "m").exec(page)?.[1]);
    expect(value("sse_connected_clients")).toBe(6);
    expect(value("sse_events_sent_total")).toBeGreaterThan(sentBefore + 15);
    expect(value('headgate_published_total{result="ok"}')).toBeGreaterThan(3);
    expect(value("headgate_ready")).toBe(1);
    expect(value("headgate_worker_restarts_total")).toBe(0);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(1.2 * largest);
    const { consumer } = JSON.parse(await ask("/kafka/status")) as {
      consumer: { partitions: readonly { topic: string }[] };
    };
    expect(consumer.partitions.map(({ topic }) => topic)).toEqual(TOPICS);
    expect(consumer.partitions[3]).toMatchObject({ topic: "figures", offset: 3, lag: 0 });
    expect(JSON.parse(await ask("/readyz"))).toEqual({ status: "ready" });
    expect(JSON.parse(await ask("/livez"))).toMatchObject({ status: "ok" });
    await until(async () => {
      const { traffic } = JSON.parse(await ask("/api/dashboard")).data;
      return traffic.connections.open === 6 && traffic.connections.activeUsers === 2;
    });
  }
  await cutAll(peers);
});

test("every worker serves the dashboard's stream, one update an interval", async () => {
  const openedMs = performance.now();
  const peers = await Promise.all(
    workers.flatMap((pid) => [0, 1].map(() => subscribeTo(server, pid, "/stream/dashboard"))),
  );
  for (const { stream } of peers) {
    await stream.until(() => stream.named("dashboard-update").length >= 4);
    const updates = stream.named("dashboard-update").slice(0, 4);
    const [first = 0, ...rest] = updates.map(({ id }) => Number(id));
    expect(rest).toEqual([first + 1, first + 2, first + 3]);
    // The first one may be the newest that there was; the others are made an interval apart.
    expect((updates.at(-1)?.atMs ?? 0) - openedMs).toBeGreaterThan(2 * UPDATE_MS);
  }
  await cutAll(peers);
});

test("D8 a publish that is repeated on several workers at once under one key is published once", async () => {
  await using subscriber = await TestSubscriber.live(server.url, "/events?topics=keys");
  const headers = { "Idempotency-Key": "once" };
  const answers = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const body = [
        { topic: "keys", data: "a" },
        { topic: "keys", data: "b" },
      ];
      const pid = workers[i % 2 === 0 ? 0 : 1];
      const { status, text } = await askWorker(server, pid, "/events", { headers, body });
      expect(status).toBe(200);
      // The cast holds: docs/protocol.md.
      return JSON.parse(text) as PublishResult;
    }),
  );
  expect(answers.filter(({ duplicate }) => duplicate === undefined)).toHaveLength(1);
  for (const { published, events, receivers } of answers) {
    expect({ published, receivers }).toEqual({ published: 2, receivers: 1 });
    expect(events).toEqual([0, 1].map((offset) => ({ topic: "keys", partition: 0, offset })));
  }
  await publishAll(server.url, { topic: "keys", data: "after" });
  const records = await subscriber.recordsUpTo(3);
  expect(records.map(({ data }) => data)).toEqual(['"a"', '"b"', '"after"']);
});

test("a refusal comes from the process that feeds as from the worker itself, with its status and details", async () => {
  for (const pid of workers) {
    const large = { topic: "keys", data: "x".repeat(300_000) };
    const { status, text } = await askWorker(server, pid, "/events", { body: large });
    expect([status, JSON.parse(text)]).toMatchObject([413, { type: "/errors/too-large" }]);
    const headers = { "Idempotency-Key": "x".repeat(200) };
    const body = { topic: "keys", data: 1 };
    const refused = await askWorker(server, pid, "/events", { headers, body });
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([
      400,
      { type: "/errors/invalid-parameter" },
    ]);
  }
});

/** As the kernel counts it. */
function residentBytes(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

test("whoever has been told that its publish is stored finds it, whichever worker is asked", async () => {
  for (let i = 0; i < 40; i += 1) {
    const asked = workers[i % 2] ?? 0;
    const look = await prepareQuestion(server, asked, "/events/recent?topics=own&limit=1");
    await publishAll(server.url, { topic: "own", data: i });
    const { events } = JSON.parse((await look()).text) as { events: { payload: unknown }[] };
    expect(events[0]?.payload).toBe(i);
  }
});
