import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Aggregator } from "../src/aggregate/aggregator.ts";
import { savedSeq, settled, startAggregator } from "./support/counting.ts";
import { type RunningFeed, startFeed, until } from "./support/feed.ts";
import { connectProducer } from "./support/kafka-records.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";

setDefaultTimeout(90_000);

const MINUTE = 60_000;

describe.skipIf(!kafkaAvailable())("two instances on one Kafka", () => {
  test("agree on the counts, whenever they began to read, and though one of them died in between", async () => {
    const kafka = await sharedKafka();
    const topic = uniqueTopic("counted");
    await kafka.createTopic(topic, 3);
    const producer = await connectProducer(kafka);
    const send = async (from: number, ageMs: number): Promise<void> => {
      const timestamp = String(Date.now() - ageMs);
      const messages = Array.from({ length: 400 }, (_, i) => ({
        key: `key-${i}`,
        value: JSON.stringify({ n: from + i }),
        headers: { type: `type-${i % 5}` },
        timestamp,
      }));
      await producer.send({ topic, messages });
    };
    const settings = { topics: [topic], fields: ["n"] };

    await using early = startFeed(kafka, { topics: [topic] });
    await send(0, 30 * MINUTE);
    await received(early, topic, 400);
    // Never told to stop: it does not see the end coming, and has not saved what comes last.
    using dead = startAggregator({ log: early.log, ...settings, saveMs: 3_600_000 });
    await until(() => dead.lag() === 0 && savedSeq(early.log) > 0);
    await send(400, 2 * MINUTE);
    await send(800, 0);
    await received(early, topic, 1_200);
    await until(() => dead.lag() === 0);
    using one = startAggregator({ log: early.log, ...settings });

    await using late = startFeed(kafka, { topics: [topic] });
    using other = startAggregator({ log: late.log, ...settings });
    await send(1_200, 120 * MINUTE);
    await send(1_600, -MINUTE);
    for (const feed of [early, late]) await received(feed, topic, 2_000);
    await settled(early.log, one);
    await settled(late.log, other);

    const { late: oneLate, future: oneFuture } = await one.current();
    expect([oneLate, oneFuture]).toEqual([400, 400]);
    for (const name of ["5m", "1h"] as const) {
      expect(await countsOf(other, name)).toEqual(await countsOf(one, name));
      expect((await one.current()).windows[name].fields["n"]).toMatchObject(
        await extremes(other, name),
      );
    }
    expect((await one.current()).windows["1h"].byTopic).toEqual({ [topic]: 1_600 });
    expect((await one.current()).windows["5m"].count).toBe(1_200);
  });
});

async function received(feed: RunningFeed, topic: string, records: number): Promise<void> {
  await until(() => feed.values(topic).length === records);
}

async function countsOf(aggregator: Aggregator, name: "5m" | "1h"): Promise<object> {
  const { late, future, windows } = await aggregator.current();
  const { count, byTopic, byType, truncated } = windows[name];
  return { late, future, count, byTopic, byType, truncated };
}

async function extremes(aggregator: Aggregator, name: "5m" | "1h"): Promise<object> {
  const {
    count = 0,
    min = 0,
    max = 0,
    p50 = 0,
  } = (await aggregator.current()).windows[name].fields["n"] ?? {};
  return { count, min, max, p50 };
}
