import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { KafkaStatus } from "../src/http/context.ts";
import { until } from "./support/feed.ts";
import { kafkaAvailable, startKafka, uniqueTopic } from "./support/kafka.ts";
import type { KafkaCluster } from "./support/kafka.ts";
import { metric, publish, spawnServer, startLocalServer } from "./support/server.ts";

setDefaultTimeout(90_000);

const isPossible = kafkaAvailable() && process.env["KAFKA_BROKERS"] === undefined;

/** The status, which must come within a second whatever Kafka does. */
async function statusOf(url: string): Promise<KafkaStatus> {
  const answer = await fetch(`${url}/kafka/status`, { signal: AbortSignal.timeout(1_000) });
  expect(answer.status).toBe(200);
  // The cast holds: what the route answers is held against this shape elsewhere.
  return (await answer.json()) as KafkaStatus;
}

/** Asks for the status, again and again, until it is so; the last one. */
async function statusWhen(
  url: string,
  isSo: (status: KafkaStatus) => boolean,
): Promise<KafkaStatus> {
  let last: KafkaStatus | undefined;
  await until(
    async () => {
      last = await statusOf(url);
      return isSo(last);
    },
    { deadlineMs: 40_000, describe: () => JSON.stringify(last) },
  );
  return last ?? (await statusOf(url));
}

/** The partitions of which nothing is heard. */
function staleOf({ consumer }: KafkaStatus): number[] {
  return consumer.partitions
    .filter(({ staleSince }) => staleSince !== undefined)
    .map(({ partition }) => partition);
}

test("D12 the status of the embedded log is never stale", async () => {
  await using server = await startLocalServer();
  await publish(server.url, { data: 1 });
  const status = await statusOf(server.url);
  expect(status).not.toHaveProperty("stale");
  expect(status.consumer.partitions).toEqual([
    { topic: "events", partition: 0, offset: 1, highWatermark: 1, lag: 0 },
  ]);
});

test("D12 before any broker was there the status is stale, and of no time", async () => {
  // Port 9 discards, where it is served at all.
  await using server = spawnServer({ KAFKA_BROKERS: "127.0.0.1:9", PORT: "0" });
  const address = (): string | undefined => /http:\/\/[\d.]+:\d+/.exec(server.stderr())?.[0];
  await until(() => address() !== undefined, { describe: server.stderr });
  const status = await statusWhen(address() ?? "", ({ consumer }) =>
    (consumer.lastError ?? "").includes("cannot be reached"),
  );
  expect(status).toMatchObject({
    stale: true,
    producer: { connected: false },
    consumer: { connected: false, groupId: null, partitions: [] },
  });
  expect(status).not.toHaveProperty("asOf");
});

describe.skipIf(!isPossible)("with three brokers", () => {
  let kafka: KafkaCluster;
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 });
  });
  afterAll(() => kafka.stop());

  test("D12 F3 what is led by a lost broker is stale and says why, all is when all stand still, and none when they are back", async () => {
    const topic = uniqueTopic("watched");
    const replicaAssignment = [1, 2, 3].map((node, partition) => ({ partition, replicas: [node] }));
    await kafka.withAdmin((admin) =>
      admin.createTopics({ topics: [{ topic, replicaAssignment }], waitForLeaders: true }),
    );
    const brokers = kafka.brokers.join(",");
    await using server = await startLocalServer({ KAFKA_BROKERS: brokers, KAFKA_TOPICS: topic });
    const { url } = server;
    const well = await statusWhen(url, (status) => staleOf(status).length === 0);
    expect(well).not.toHaveProperty("stale");
    expect(well.consumer.partitions).toHaveLength(3);

    const beforeMs = Date.now();
    await kafka.kill(2);
    const lame = await statusWhen(url, (status) => staleOf(status).length > 0);
    expect(staleOf(lame)).toEqual([1]);
    expect(lame.consumer.partitions[1]?.lastError).toBeString();
    // Once the cluster knows that it is gone.
    const known = "It has no leader";
    await statusWhen(url, (status) => status.consumer.partitions[1]?.lastError === known);
    const stillLame = await statusOf(url);
    expect(staleOf(stillLame)).toEqual([1]);
    expect(stillLame.consumer.partitions[1]?.staleSince).toBeWithin(beforeMs - 2_000, Date.now());
    expect(stillLame).not.toHaveProperty("stale");
    expect(stillLame.consumer.connected).toBe(true);
    await kafka.start(2);
    const healed = await statusWhen(url, (status) => staleOf(status).length === 0);
    expect(healed.consumer.partitions.map(({ lastError }) => lastError)).toEqual(
      Array.from({ length: 3 }),
    );

    const pausedMs = Date.now();
    for (const node of [1, 2, 3]) kafka.pause(node);
    try {
      const stale = await statusWhen(url, (status) => status.stale === true);
      expect(stale.asOf).toBeWithin(pausedMs - 2_000, Date.now());
      // Not only a fetch, which waits longer: nobody says any more what topics there are.
      await statusWhen(url, ({ consumer }) => /in [248]000 ms/.test(consumer.lastError ?? ""));
      await statusWhen(url, (status) => staleOf(status).length === 3);
      const lost = await statusOf(url);
      expect(lost).toMatchObject({ stale: true, consumer: { connected: false } });
      expect(await metric(url, "headgate_feed_reconnects_total")).toBe(0);
    } finally {
      for (const node of [1, 2, 3]) kafka.resume(node);
    }
    const back = await statusWhen(
      url,
      (status) => status.stale === undefined && staleOf(status).length === 0,
    );
    expect(back.consumer.connected).toBe(true);
    await until(async () => (await metric(url, "headgate_feed_reconnects_total")) === 1);
  });
});
