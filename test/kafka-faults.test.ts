import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Producer } from "kafkajs";
import { Brokers } from "../src/kafka/brokers.ts";
import { createKafka } from "../src/kafka/client.ts";
import { KafkaMetadata } from "../src/kafka/metadata.ts";
import { createLogger } from "../src/logger.ts";
import { startFeed, until } from "./support/feed.ts";
import type { RunningFeed } from "./support/feed.ts";
import { kafkaAvailable, startKafka, uniqueTopic } from "./support/kafka.ts";
import type { KafkaCluster } from "./support/kafka.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(90_000);

const isPossible = kafkaAvailable() && process.env["KAFKA_BROKERS"] === undefined;

describe.skipIf(!isPossible)("one broker", () => {
  let kafka: KafkaCluster;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka.stop());

  test("F1 a feed that is started without Kafka waits, and reads when it comes", async () => {
    const topic = uniqueTopic("late");
    await kafka.createTopic(topic, 1);
    await kafka.kill(1);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.status().lastError !== undefined);
    expect(running.feed.status()).toMatchObject({ connected: false });
    expect(running.feed.isReady()).toBe(false);
    expect(running.feed.status().missing[0]).toContain(kafka.brokers[0] ?? "no broker");
    await kafka.start(1);
    await until(() => running.feed.isReady());
    expect(running.feed.status()).toMatchObject({ connected: true, missing: [] });
  });

  test("F2 two kill -9 under load lose nothing and bring nothing twice", async () => {
    const topic = uniqueTopic("killed");
    await kafka.createTopic(topic, 2);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.isReady());
    await using load = await startLoad(kafka, topic);
    for (let round = 0; round < 2; round += 1) {
      const before = load.acknowledged.length;
      await until(() => load.acknowledged.length > before + 100);
      await kafka.kill(1);
      await kafka.start(1);
    }
    const before = load.acknowledged.length;
    await until(() => load.acknowledged.length > before + 100);
    await load.stop();
    await expectAll(running, topic, load.acknowledged);
    expect(running.feed.status()).toMatchObject({ connected: true });
  });

  test("F3 a paused broker is noticed, and the feed goes on after it", async () => {
    const topic = uniqueTopic("paused");
    await kafka.createTopic(topic, 1);
    await using running = startFeed(kafka, { topics: [topic] });
    const ends = new KafkaMetadata(
      { brokers: kafka.brokers, clientId: "t", groupId: "t" },
      createLogger("silent"),
    );
    await until(() => running.feed.isReady());
    expect(await ends.ends([topic])).toMatchObject([{ starts: [0], ends: [0] }]);
    kafka.pause(1);
    try {
      const since = performance.now();
      expect(await ends.ends([topic]).catch((error: Error) => error.message)).toContain("2000 ms");
      expect(performance.now() - since).toBeLessThan(2_500);
      await until(() => !running.feed.status().connected);
      expect(running.feed.isReady()).toBe(true);
    } finally {
      kafka.resume(1);
    }
    await send(kafka, topic, ["after"]);
    await until(() => running.values(topic).length === 1);
    await until(() => running.feed.status().connected);
    expect(await ends.ends([topic])).toMatchObject([{ ends: [1] }]);
    ends.close();
  });

  test("F9 a truncated partition is a gap back to the first record that differs", async () => {
    const topic = uniqueTopic("truncated");
    await kafka.createTopic(topic, 1);
    await send(kafka, topic, ["0", "1", "2"]);
    await kafka.stop1(1);
    using backup = temporaryDirectory();
    cpSync(kafka.dataDir(1), backup.path, { recursive: true });
    await kafka.start(1);
    await send(kafka, topic, ["3", "4", "5", "6", "7"]);
    const first = startFeed(kafka, { topics: [topic] });
    await until(() => first.values(topic).length === 8);
    await first.feed.stop();

    // The broker comes back as it was, and takes other records on the same offsets.
    await kafka.stop1(1);
    rmSync(kafka.dataDir(1), { recursive: true });
    cpSync(backup.path, kafka.dataDir(1), { recursive: true });
    await kafka.start(1);
    await send(kafka, topic, ["three", "four", "five", "six", "seven", "eight"]);
    await using running = startFeed(kafka, { topics: [topic], log: first.log });
    await until(() => running.values(topic).includes("eight"));
    const expected = "0 1 2 three four five six seven eight";
    expect(running.values(topic)).toEqual(expected.split(" "));
    expect(running.entries(topic).map(({ kind, offset }) => `${kind} ${offset}`)).toContain(
      "gap 2",
    );
  });

  test("F12 a damaged batch and an unknown compression are skipped, and the partition goes on", async () => {
    const topic = uniqueTopic("damaged");
    await kafka.createTopic(topic, 2);
    await send(kafka, topic, ["first", "damage me", "unknown codec", "last"]);
    await send(kafka, topic, ["other partition"], 1);
    await kafka.stop1(1);
    const segment = join(kafka.dataDir(1), `${topic}-0`, "00000000000000000000.log");
    const bytes = readFileSync(segment);
    const damaged = bytes.indexOf("damage me");
    bytes.write("DAMAGE", damaged);
    // The attributes of the third batch: 61 bytes of header, then the record's own first bytes.
    const third = bytes.readUInt32BE(8) + 12;
    const at = third + 12 + bytes.readUInt32BE(third + 8);
    bytes.writeInt16BE(5, at + 21);
    writeFileSync(segment, bytes);
    expect(readdirSync(kafka.dataDir(1))).toContain(`${topic}-0`);
    await kafka.start(1);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.isReady());
    expect(running.values(topic)).toContain("other partition");
    expect(running.values(topic, 0)).toEqual(["first", "last"]);
    expect(running.entries(topic).filter(({ kind }) => kind === "skipped")).toMatchObject([
      { offset: 1, reason: "undecodable" },
      { offset: 2, reason: "undecodable" },
    ]);
  });
});

describe.skipIf(!isPossible)("three brokers", () => {
  let kafka: KafkaCluster;
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 });
  });
  afterAll(() => kafka.stop());

  test("F2 leaders change under load without a record lost or twice", async () => {
    const topic = uniqueTopic("leaders");
    await kafka.createTopic(topic, 6);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.isReady());
    await using load = await startLoad(kafka, topic);
    for (const node of [1, 2]) {
      const before = load.acknowledged.length;
      await until(() => load.acknowledged.length > before + 100);
      await kafka.kill(node);
      const during = load.acknowledged.length;
      await until(() => load.acknowledged.length > during + 100, { deadlineMs: 40_000 });
      await kafka.start(node);
    }
    await load.stop();
    await expectAll(running, topic, load.acknowledged);
  });

  test("F18 a partition without a leader keeps its position, and nobody says where it ends", async () => {
    const topic = uniqueTopic("leaderless");
    await kafka.withAdmin((admin) =>
      admin.createTopics({
        topics: [
          {
            topic,
            numPartitions: 3,
            replicationFactor: 1,
            configEntries: [{ name: "min.insync.replicas", value: "1" }],
          },
        ],
        waitForLeaders: true,
      }),
    );
    await send(kafka, topic, ["before"]);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.isReady());
    const [lost = 0] = await leadersOf(kafka, topic);
    const brokers = kafka.brokers.filter((_, index) => index + 1 !== lost);
    await kafka.kill(lost);
    await until(async () => (await leadersOf({ brokers }, topic))[0] === -1);
    const ends = new KafkaMetadata(
      { brokers, clientId: "test", groupId: "test" },
      createLogger("silent"),
    );
    const [answer] = await ends.ends([topic]);
    expect(answer?.ends).toEqual([undefined, 0, 0]);
    ends.close();
    await kafka.start(lost);
    await send(kafka, topic, ["after"]);
    await until(() => running.values(topic).length === 2);
    expect(running.entries(topic).map(({ kind }) => kind)).toEqual(["topic", "record", "record"]);
  });

  test("F3 F13 while a leader is paused the partitions of the others flow on", async () => {
    const topic = uniqueTopic("flowing");
    await kafka.createTopic(topic, 3);
    await using running = startFeed(kafka, { topics: [topic] });
    await until(() => running.feed.isReady());
    const [paused = 0, other = 0] = await leadersOf(kafka, topic);
    const brokers = kafka.brokers.filter((_, index) => index + 1 !== paused);
    kafka.pause(paused);
    try {
      await send({ brokers }, topic, ["flows"], 1);
      await until(() => running.values(topic, 1).length === 1, { deadlineMs: 2_000 });
      // Another takes over, and what it gets is read from there.
      await until(async () => (await leadersOf({ brokers }, topic))[0] !== paused);
      await send({ brokers }, topic, ["taken over"], 0);
      await until(() => running.values(topic, 0).length === 1);
    } finally {
      kafka.resume(paused);
    }
    expect(other).not.toBe(paused);
  });
});

/** The nodes that lead partition 0, 1, 2 … */
async function leadersOf(kafka: Pick<KafkaCluster, "brokers">, topic: string): Promise<number[]> {
  const brokers = new Brokers(
    { brokers: kafka.brokers, clientId: "test", groupId: "test" },
    createLogger("silent"),
  );
  try {
    const { topics } = await brokers.metadata([topic], 2_000);
    return topics.flatMap(({ partitions }) => partitions.map(({ leader }) => leader));
  } finally {
    brokers.close();
  }
}

interface Load extends AsyncDisposable {
  /** Where Kafka said that it has put which value. */
  readonly acknowledged: { value: string; partition: number; offset: number }[];
  stop(): Promise<void>;
}

/** Sends records one after the other, and remembers those that Kafka has acknowledged. */
async function startLoad(kafka: KafkaCluster, topic: string): Promise<Load> {
  const producer = await connect(kafka);
  const acknowledged: Load["acknowledged"] = [];
  const stopping = new AbortController();
  const sending = (async () => {
    for (let next = 0; !stopping.signal.aborted; next += 1) {
      const value = `${topic}-${next}`;
      const messages = [{ key: String(next), value }];
      const sent = await producer.send({ topic, messages, timeout: 3_000 }).catch(() => []);
      for (const { partition, baseOffset } of sent) {
        acknowledged.push({ value, partition, offset: Number(baseOffset) });
      }
    }
  })();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await sending;
    await producer.disconnect();
  };
  return { acknowledged, stop, [Symbol.asyncDispose]: stop };
}

/** Every acknowledged record is in the log where Kafka put it, all in order, and none twice. */
async function expectAll(
  running: RunningFeed,
  topic: string,
  acknowledged: Load["acknowledged"],
): Promise<void> {
  const missing = (): Load["acknowledged"] => {
    const places = new Map(
      running
        .entries(topic)
        .map(({ partition, offset, value }) => [`${partition}/${offset}`, value]),
    );
    return acknowledged.filter(({ value, partition, offset }) => {
      const found = places.get(`${partition}/${offset}`) ?? null;
      return found === null || Buffer.from(found).toString() !== value;
    });
  };
  await until(() => missing().length === 0, { describe: () => JSON.stringify(missing()) });
  expect(running.entries(topic).filter(({ kind }) => kind === "gap")).toEqual([]);
  const last = new Map<number, number>();
  for (const { kind, partition, offset } of running.entries(topic)) {
    if (kind !== "record") continue;
    expect(offset).toBeGreaterThan(last.get(partition) ?? -1);
    last.set(partition, offset);
  }
}

async function send(
  kafka: Pick<KafkaCluster, "brokers">,
  topic: string,
  values: readonly string[],
  partition = 0,
): Promise<void> {
  const producer = await connect(kafka);
  // One batch each.
  for (const value of values) await producer.send({ topic, messages: [{ partition, value }] });
  await producer.disconnect();
}

async function connect(kafka: Pick<KafkaCluster, "brokers">): Promise<Producer> {
  const config = { brokers: kafka.brokers, clientId: "test-producer", groupId: "test" };
  const client = createKafka(config, createLogger("silent"));
  // Not idempotent: after a send that kafkajs gave up on, it gives the next one the same sequence
  // number, and the broker then acknowledges a record that it does not store.
  const producer = client.producer({ retry: { retries: 20 } });
  await producer.connect();
  return producer;
}
