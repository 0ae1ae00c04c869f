import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { HeadgateError } from "../errors.ts";
import { createLogger } from "../logger.ts";
import { counts } from "../../test/support/counts.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "../../test/support/kafka.ts";
import type { KafkaCluster } from "../../test/support/kafka.ts";
import { byText, encode, outcome, placeOf, publisherFor } from "../../test/support/publishing.ts";
import { readAll, record, refusal, until } from "../../test/support/publishing.ts";
import { createKafka } from "./client.ts";
import { partitionOfKey } from "./partitioner.ts";

setDefaultTimeout(120_000);

describe.skipIf(!kafkaAvailable())("with a broker", () => {
  let cluster: KafkaCluster;
  beforeAll(async () => {
    cluster = await sharedKafka();
  });

  test("concurrent publishes over 4 partitions get the coordinates at which they lie", async () => {
    const topic = uniqueTopic("coordinates");
    await cluster.createTopic(topic, 4);
    const { publisher, metrics } = publisherFor(cluster, { partitions: 4 });
    const publishes = Array.from({ length: 300 }, async (_, n) => {
      const records = [record(topic, `${n}a`), record(topic, `${n}b`, `key-${n % 17}`)];
      if (n % 50 === 0) await Bun.sleep(n / 10);
      const [first, second] = await publisher.publish(records);
      return [first, second].map((each, index) => [each, `${n}${"ab"[index]}`] as const);
    });
    const expected = new Map<string, string>();
    for (const [coordinates, value] of (await Promise.all(publishes)).flat()) {
      if (coordinates !== undefined) expected.set(placeOf(coordinates), value);
    }
    expect(expected.size).toBe(600);
    expect(new Set([...expected.keys()].map((place) => place[0])).size).toBe(4);
    const stored = await readAll(cluster, topic);
    expect([...stored].toSorted(byText)).toEqual([...expected].toSorted(byText));
    expect(await counts(metrics.published)).toEqual({ ok: 600 });
    await publisher.close();
  });

  test("records of one key are in the partition of Java's producers, in the order of the calls", async () => {
    const topic = uniqueTopic("keys");
    await cluster.createTopic(topic, 4);
    const { publisher } = publisherFor(cluster, { partitions: 4 });
    const publishes = Array.from({ length: 200 }, (_, n) =>
      publisher.publish([record(topic, String(n), "order-7")]),
    );
    const places = (await Promise.all(publishes)).flat();
    expect(new Set(places.map(({ partition }) => partition))).toEqual(
      new Set([partitionOfKey(encode("order-7"), 4)]),
    );
    expect(places.map(({ offset }) => offset)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    await publisher.close();
  });

  test("records without a key take turns over each topic's own partitions", async () => {
    const topics = [uniqueTopic("turns"), uniqueTopic("turns")];
    for (const topic of topics) await cluster.createTopic(topic, 4);
    const { publisher } = publisherFor(cluster, { partitions: 4 });
    const records = Array.from({ length: 8 }, () => topics.map((topic) => record(topic, "x")));
    const places = await publisher.publish(records.flat());
    for (const topic of topics) {
      const partitions = places.filter((place) => place.topic === topic).map((p) => p.partition);
      expect(partitions.toSorted((a, b) => a - b)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    }
    await publisher.close();
  });

  test("keys, headers that repeat and tombstones arrive as they were", async () => {
    const topic = uniqueTopic("headers");
    await cluster.createTopic(topic, 1);
    const { publisher } = publisherFor(cluster);
    const headers = [
      ["type", encode("a")],
      ["twice", encode("1")],
      ["twice", encode("2")],
    ] as const;
    await publisher.publish([{ topic, key: encode("k"), value: null, headers }]);
    const kafka = createKafka(
      { brokers: cluster.brokers, clientId: "reader", groupId: "reader" },
      createLogger("silent"),
    );
    const consumer = kafka.consumer({ groupId: uniqueTopic("reader") });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const message = await new Promise<string>((resolve, reject) => {
      consumer
        .run({
          eachMessage: ({ message: { key, value, headers: found = {} } }) => {
            const texts = Object.entries(found).map(([name, each]) => [name, String(each)]);
            resolve(JSON.stringify([String(key), value, texts.toSorted(byText)]));
            return Promise.resolve();
          },
        })
        .catch(reject);
    });
    await consumer.disconnect();
    expect(JSON.parse(message)).toEqual([
      "k",
      null,
      [
        ["twice", "1,2"],
        ["type", "a"],
      ],
    ]);
    await publisher.close();
  });

  test("D7 a record too large for the broker is refused, and its neighbours of the same turn are not", async () => {
    const topic = uniqueTopic("large");
    await cluster.createTopic(topic, 1, { "max.message.bytes": "20000" });
    const { publisher } = publisherFor(cluster);
    const publishes = Array.from({ length: 40 }, (_, n) =>
      outcome(
        publisher.publish([
          record(topic, n === 13 ? "x".repeat(30_000) : `${n}-${"y".repeat(900)}`),
        ]),
      ),
    );
    const results = await Promise.all(publishes);
    const refused = results.filter((result) => result instanceof HeadgateError);
    expect(refused).toMatchObject([{ code: "too-large", details: { mayBeStored: false } }]);
    expect(results.indexOf(refused[0] ?? [])).toBe(13);
    const stored = await readAll(cluster, topic);
    expect([...stored.values()].map((value) => value.split("-")[0])).toEqual(
      Array.from({ length: 40 }, (_, n) => String(n)).filter((n) => n !== "13"),
    );
    await publisher.close();
  });

  test("an event that a compacted topic refuses does not fail its neighbours", async () => {
    const topic = uniqueTopic("compacted");
    await cluster.createTopic(topic, 1, { "cleanup.policy": "compact" });
    const { publisher } = publisherFor(cluster);
    const [good, bad, alsoGood] = await Promise.all([
      outcome(publisher.publish([record(topic, "1", "k")])),
      refusal(publisher.publish([record(topic, "2")])),
      outcome(publisher.publish([record(topic, "3", "k")])),
    ]);
    expect(good).toMatchObject([{ offset: 0 }]);
    expect(bad).toMatchObject({ code: "invalid-event", details: { mayBeStored: false } });
    expect(alsoGood).toMatchObject([{ offset: 1 }]);
    await publisher.close();
  });

  test("D7 a topic that Kafka does not have is refused, and others are still published to", async () => {
    const topic = uniqueTopic("there");
    await cluster.createTopic(topic, 1);
    const { publisher } = publisherFor(cluster);
    const missing = refusal(publisher.publish([record(uniqueTopic("missing"), "1")]));
    expect(await outcome(publisher.publish([record(topic, "1")]))).toMatchObject([{ offset: 0 }]);
    expect(await missing).toMatchObject({
      code: "topic-not-found",
      details: { mayBeStored: false },
    });
    expect(await outcome(publisher.publish([record(topic, "2")]))).toMatchObject([{ offset: 1 }]);
    await publisher.close();
  });

  test("partitions added to a topic are written to at once", async () => {
    const topic = uniqueTopic("grows");
    await cluster.createTopic(topic, 1);
    const { publisher } = publisherFor(cluster, { partitions: 2 });
    const first = outcome(publisher.publish([record(topic, "1"), record(topic, "2")]));
    await cluster.withAdmin((admin) =>
      admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }),
    );
    expect(await first).toBeArrayOfSize(2);
    await publisher.close();
  });

  test("with topics to be connected for, the publisher is connected before anything is published", async () => {
    const { publisher } = publisherFor(cluster, { topics: [uniqueTopic("early")] });
    expect(publisher.isConnected()).toBe(false);
    await until(() => publisher.isConnected(), "the connection");
    await publisher.close();
    expect(publisher.isConnected()).toBe(false);
  });

  test("G3 closing awaits what was accepted, and refuses the rest", async () => {
    const topic = uniqueTopic("closing");
    await cluster.createTopic(topic, 1);
    const { publisher } = publisherFor(cluster);
    const accepted = Array.from({ length: 50 }, (_, n) =>
      outcome(publisher.publish([record(topic, String(n))])),
    );
    const closed = publisher.close();
    expect(await refusal(publisher.publish([record(topic, "late")]))).toMatchObject({
      code: "shutting-down",
    });
    await closed;
    for (const result of await Promise.all(accepted)) expect(result).toBeArrayOfSize(1);
    expect(await readAll(cluster, topic)).toHaveProperty("size", 50);
  });
});

test("D9 what waits is bounded in bytes, and what is above is refused at once", async () => {
  const nowhere = { brokers: ["127.0.0.1:9"] } as KafkaCluster;
  const { publisher, metrics } = publisherFor(nowhere, { timeoutMs: 300, maxWaitingBytes: 10_000 });
  const waiting = refusal(publisher.publish([record("t", "x".repeat(9_000))]));
  const above = await refusal(publisher.publish([record("t", "x".repeat(1_000))]));
  expect(above).toMatchObject({
    code: "publish-queue-full",
    details: { mayBeStored: false, retryAfterS: 1 },
  });
  expect(await waiting).toMatchObject({ code: "publish-timeout", details: { mayBeStored: false } });
  const again = await refusal(publisher.publish([record("t", "x".repeat(9_000))]));
  expect(again.code).toBe("publish-timeout");
  expect(publisher.isConnected()).toBe(false);
  expect(await counts(metrics.published)).toEqual({ "queue-full": 1, timeout: 2 });
  await publisher.close();
});

test("D7 without any broker a publish times out, was never stored, and closing does not hang", async () => {
  const nowhere = { brokers: ["127.0.0.1:9"] } as KafkaCluster;
  const { publisher } = publisherFor(nowhere, { timeoutMs: 200 });
  const publish = refusal(publisher.publish([record("t", "1")]));
  await publisher.close();
  expect(await publish).toMatchObject({
    code: "publish-timeout",
    details: { mayBeStored: false, retryAfterS: 1 },
  });
});
