import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { hostname } from "node:os";
import { createHeadgate, type Headgate } from "../src/headgate.ts";
import { SCHEMAS } from "../src/http/operations/schemas.ts";
import { until } from "./support/feed.ts";
import { kafkaAvailable, type KafkaCluster, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import {
  type LocalServer,
  metric,
  publish,
  type Settings,
  startLocalServer,
  startServer,
} from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(60_000);

const get = async (url: string): Promise<string> => (await fetch(url)).text();

/** Everything that shows how a server is, as text: the documents, and an update of the stream. */
async function shownBy(url: string): Promise<string> {
  const paths = ["/kafka/status", "/api/dashboard", "/api/status"];
  const documents = await Promise.all(paths.map((path) => get(`${url}${path}`)));
  await using watcher = await TestSubscriber.open(url, "/stream/dashboard");
  await watcher.first("dashboard-update");
  return [...documents, ...watcher.events.map(({ data }) => data)].join("\n");
}

describe("on the embedded log", () => {
  let server: LocalServer;

  beforeAll(async () => {
    server = await startLocalServer({ KAFKA_TOPICS: "events,orders", SSE_UPDATE_INTERVAL: "100" });
  });

  afterAll(() => server[Symbol.asyncDispose]());

  test("/api/status has exactly what dashboards of this kind expect", async () => {
    await using first = await TestSubscriber.live(server.url, "/events?userId=ann");
    await using second = await TestSubscriber.live(server.url, "/events?userId=ann");
    await using watcher = await TestSubscriber.open(server.url, "/stream/dashboard");
    await watcher.first("dashboard-update");
    const ask = async (): Promise<{ data: Record<string, unknown> }> =>
      JSON.parse(await get(`${server.url}/api/status`)) as { data: Record<string, unknown> };
    await until(async () => (await ask()).data["activeUsers"] === 1);
    const status = await ask();
    expect(Object.keys(status)).toEqual(["success", "data"]);
    expect(SCHEMAS.StatusAnswer.parse(status)).toMatchObject({
      success: true,
      data: { isRunning: true, connectedClients: 3, activeUsers: 1 },
    });
    expect(Object.keys(status.data)).toEqual([
      "isRunning",
      "connectedClients",
      "activeUsers",
      "eventsSent",
      "uptime",
    ]);
    const before = await metric(server.url, "sse_events_sent_total");
    await publish(server.url, { data: 1 });
    await Promise.all([first.recordsUpTo(1), second.recordsUpTo(1)]);
    expect((await ask()).data["eventsSent"]).toBeGreaterThanOrEqual(before + 2);
  });

  test("the uptime counts seconds here, and milliseconds on the dashboard", async () => {
    const ofDashboard = async (): Promise<number> =>
      SCHEMAS.DashboardAnswer.parse(JSON.parse(await get(`${server.url}/api/dashboard`))).data
        .metadata.uptime;
    await until(async () => (await ofDashboard()) >= 1000);
    const { data } = SCHEMAS.StatusAnswer.parse(JSON.parse(await get(`${server.url}/api/status`)));
    expect(data.uptime).toBeWithin(1, 60);
  });

  test("/api/dashboard shows the figures of /metrics, and is as OpenAPI describes it", async () => {
    await using subscriber = await TestSubscriber.live(server.url);
    await publish(server.url, [
      { type: "a", data: 1 },
      { type: "b", data: 2 },
    ]);
    await subscriber.recordsUpTo(2);
    const published = await metric(server.url, 'headgate_published_total{result="ok"}');
    const dashboard = async (): Promise<
      ReturnType<typeof SCHEMAS.DashboardAnswer.parse>["data"]
    > => {
      const answer: unknown = JSON.parse(await get(`${server.url}/api/dashboard`));
      const { data, timestamp } = SCHEMAS.DashboardAnswer.parse(answer);
      expect(timestamp).toBeWithin(Date.now() - 60_000, Date.now() + 1);
      return data;
    };
    await until(async () => (await dashboard()).traffic.totals.published === published);
    await until(async () => (await dashboard()).aggregation?.windows["1h"].byType["b"] === 1);
    // Subscribers are counted once a second too.
    await until(async () => (await dashboard()).traffic.connections.byState.live === 1);
    const { traffic, aggregation, memory } = await dashboard();
    expect(traffic.totals.sent).toBeGreaterThanOrEqual(2);
    expect(traffic.latencyMs?.p50).toBeGreaterThan(0);
    expect(traffic.latencyMs?.p99).toBeLessThan(60_000);
    expect(traffic.perSecond.published).toBeGreaterThan(0);
    expect(traffic.recent.reduce((sum, { arrived }) => sum + arrived, 0)).toBeGreaterThan(0);
    expect(aggregation?.windows["1h"].byTopic).toMatchObject({ events: published });
    expect(memory.logRows).toBeGreaterThan(0);
  });

  test("however often it is asked for, the dashboard is made once a second", async () => {
    const texts = await Promise.all(
      Array.from({ length: 50 }, () => get(`${server.url}/api/dashboard`)),
    );
    const made = texts.map(
      (text) => SCHEMAS.DashboardAnswer.parse(JSON.parse(text)).data.timestamp,
    );
    expect(new Set(made).size).toBeLessThanOrEqual(2);
  });

  test("/kafka/status says what came in the time just past", async () => {
    await publish(server.url, { topic: "orders", type: "order.created", data: 1 });
    const status = async (): Promise<ReturnType<typeof SCHEMAS.KafkaState.parse>> =>
      SCHEMAS.KafkaState.parse(JSON.parse(await get(`${server.url}/kafka/status`)));
    const windows = async (): Promise<Record<string, number> | undefined> =>
      (await status()).consumer.currentAggregation?.windows["1m"].byType;
    await until(async () => (await windows())?.["order.created"] === 1);
    const { mode, producer, consumer } = await status();
    expect([mode, producer, consumer.groupId]).toEqual(["embedded", { connected: true }, null]);
    expect(consumer.partitions).toContainEqual({
      topic: "orders",
      partition: 0,
      offset: 1,
      highWatermark: 1,
      lag: 0,
    });
  });

  test("users are shown as a number only", async () => {
    await using subscriber = await TestSubscriber.live(
      server.url,
      "/events?userId=user-that-hides&username=name-that-hides&clientId=client-that-hides",
    );
    await until(async () => (await get(`${server.url}/api/status`)).includes('"activeUsers":1'));
    expect(subscriber.isEnded).toBe(false);
    expect(await shownBy(server.url)).not.toContain("that-hides");
  });
});

test("sections come from the records of SSE_DASHBOARD_TOPIC", async () => {
  await using server = await startLocalServer({
    SSE_DASHBOARD_TOPIC: "board",
    SSE_UPDATE_INTERVAL: "100",
  });
  const intelligence = { totalLearnings: 42, avgSynergy: 0.7 };
  const say = (data: unknown): Promise<Response> =>
    publish(server.url, { topic: "board", key: "intelligence", data });
  expect((await say({ totalLearnings: 1 })).status).toBe(200);
  await say(intelligence);
  await using watcher = await TestSubscriber.open(server.url, "/stream/dashboard");
  await watcher.until(() =>
    watcher.events.some(({ data }) => data.includes(JSON.stringify(intelligence))),
  );
  const shown = async (): Promise<unknown> =>
    SCHEMAS.DashboardAnswer.parse(JSON.parse(await get(`${server.url}/api/dashboard`))).data[
      "intelligence"
    ];
  await until(async () => JSON.stringify(await shown()) === JSON.stringify(intelligence));
  await say(null);
  await until(async () => (await shown()) === undefined);
});

/** Nobody listens there: it is the port of `tcpmux`, below those that tests get. */
const NOBODY = "127.0.0.1:1";

/** A server that waits for a Kafka which is not there. */
async function waiting(settings: Settings): Promise<Headgate> {
  const headgate = createHeadgate({
    environment: {
      PORT: "0",
      DATA_DIR: ":memory:",
      SHUTDOWN_GRACE: "0",
      LOG_LEVEL: "silent",
      KAFKA_BROKERS: NOBODY,
      SSE_UPDATE_INTERVAL: "100",
      ...settings,
    },
  });
  await headgate.start();
  headgate.ready.catch(() => {
    // It stops before it ever is.
  });
  // It has tried, and knows why it could not.
  await until(async () => (await get(`${headgate.url}/readyz`)).includes("ECONNREFUSED"));
  return headgate;
}

test("D12 without Kafka every answer comes at once, says what is wrong, and no host", async () => {
  const headgate = await waiting({});
  const startedMs = performance.now();
  const shown = await shownBy(headgate.url);
  expect(performance.now() - startedMs).toBeLessThan(3000);
  expect(shown).toContain('"rule":"kafka-away"');
  expect(shown).toContain(
    "The server is not ready: Kafka cannot be reached: Connection error: connect ECONNREFUSED hidden",
  );
  expect(await get(`${headgate.url}/readyz`)).not.toMatch(/127\.0\.0\.1/);
  expect(shown).not.toMatch(/127\.0\.0\.1/);
  expect(shown).not.toContain(hostname());
  const { data } = SCHEMAS.DashboardAnswer.parse(
    JSON.parse(await get(`${headgate.url}/api/dashboard`)),
  );
  expect(data).toMatchObject({
    performance: {
      healthScore: 0,
      subsystems: {
        streams: { status: "down" },
        feed: { status: "down" },
        log: { status: "down" },
      },
    },
    aggregation: null,
    metadata: { mode: "kafka", sanitized: true },
  });
  expect(data.metadata).not.toHaveProperty("host");
  const status = SCHEMAS.KafkaState.parse(JSON.parse(await get(`${headgate.url}/kafka/status`)));
  expect(status).toMatchObject({
    mode: "kafka",
    consumer: { connected: false, currentAggregation: null },
  });
  await headgate.stop();
});

test("where nothing is to be hidden, hosts are shown", async () => {
  const headgate = await waiting({ SSE_SANITIZE_DATA: "false" });
  const shown = await shownBy(headgate.url);
  expect(shown).toContain(`connect ECONNREFUSED ${NOBODY}`);
  expect(shown).toContain(`"host":${JSON.stringify(hostname())}`);
  await headgate.stop();
});

describe.skipIf(!kafkaAvailable())("on Kafka", () => {
  let kafka: KafkaCluster;

  beforeAll(async () => {
    kafka = await sharedKafka();
  });

  test("neither hosts nor groups nor users are in any answer, unless they may be", async () => {
    const topic = uniqueTopic("status");
    await kafka.createTopic(topic, 2);
    for (const [isSanitized, group] of [
      ["true", "hidden"],
      ["false", /^secret-group/],
    ] as const) {
      await using server = await startServer({
        KAFKA_BROKERS: kafka.brokers.join(","),
        KAFKA_TOPICS: topic,
        KAFKA_GROUP_ID: "secret-group",
        SSE_SANITIZE_DATA: isSanitized,
        SSE_UPDATE_INTERVAL: "100",
      });
      await using subscriber = await TestSubscriber.live(server.url, "/events?userId=secret-user");
      expect(subscriber.isEnded).toBe(false);
      const { consumer } = SCHEMAS.KafkaState.parse(
        JSON.parse(await get(`${server.url}/kafka/status`)),
      );
      expect(consumer.groupId).toMatch(group);
      const shown = await shownBy(server.url);
      expect(shown.includes("secret-group")).toBe(isSanitized === "false");
      expect(shown.includes(hostname())).toBe(isSanitized === "false");
      for (const broker of kafka.brokers) expect(shown).not.toContain(broker);
      expect(shown).not.toContain("secret-user");
    }
  });
});
