import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connectProducer, readTopics } from "./support/kafka-records.ts";
import { kafkaAvailable, type KafkaCluster, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { publish, type ServerProcess, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(90_000);

const PARTITIONS = 3;

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

interface Answer {
  readonly published: number;
  readonly events: readonly Place[];
  readonly receivers: number;
  readonly duplicate?: true;
}

const placeOf = ({ topic, partition, offset }: Place): string => `${topic}/${partition}/${offset}`;

async function post(url: string, body: unknown, idempotencyKey: string): Promise<Answer> {
  const response = await publish(url, body, { "Idempotency-Key": idempotencyKey });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

describe.skipIf(!kafkaAvailable())("two instances on one Kafka", () => {
  const directories = [temporaryDirectory(), temporaryDirectory()];
  let kafka: KafkaCluster;
  let topics: string[];
  /** Of one partition, for what needs its offsets. */
  let single: string;
  let one: ServerProcess;
  let other: ServerProcess;

  const start = (directory?: string): Promise<ServerProcess> =>
    startServer({
      KAFKA_BROKERS: kafka.brokers.join(","),
      KAFKA_TOPICS: [...topics, single].join(","),
      ...(directory !== undefined && { DATA_DIR: directory }),
    });

  beforeAll(async () => {
    kafka = await sharedKafka();
    topics = [uniqueTopic("a"), uniqueTopic("b")];
    single = uniqueTopic("single");
    for (const topic of topics) await kafka.createTopic(topic, PARTITIONS);
    await kafka.createTopic(single, 1);
    [one, other] = await Promise.all([start(directories[0]?.path), start(directories[1]?.path)]);
  });

  afterAll(async () => {
    await Promise.all([one, other].map((instance) => instance[Symbol.asyncDispose]()));
    for (const directory of directories) directory[Symbol.dispose]();
  });

  /** Bodies of all kinds: one event or several, with and without record keys, in one topic or two. */
  function bodyOf(n: number): object | object[] {
    const [topic, second] = topics;
    switch (n % 4) {
      case 0:
        return { data: n };
      case 1:
        return { key: `key ${n % 7}`, data: n };
      case 2:
        return [1, 2, 3].map((i) => ({ topic: second, data: `${n}.${i}` }));
      default:
        return [1, 2, 3, 4].map((i) => ({
          topic: i % 2 === 0 ? topic : second,
          key: `${n}.${i}`,
          data: `${n}.${i}`,
        }));
    }
  }

  test("D8 what is sent again, to whichever instance, is answered with the first one's places and seen once", async () => {
    await using here = await TestSubscriber.live(one.url, "/events?envelope=true");
    await using there = await TestSubscriber.live(other.url, "/events?envelope=true");
    const places: string[] = [];
    for (let n = 0; n < 40; n += 1) {
      const [first, second] = n % 2 === 0 ? [one, other] : [other, one];
      const answer = await post(first.url, bodyOf(n), `again ${n}`);
      expect(answer.duplicate).toBeUndefined();
      for (const { url } of [second, first, second]) {
        expect(await post(url, bodyOf(n), `again ${n}`)).toEqual({ ...answer, duplicate: true });
      }
      places.push(...answer.events.map(placeOf));
    }
    await sendLast();
    for (const subscriber of [here, there]) {
      expect((await readToLast(subscriber)).toSorted()).toEqual(places.toSorted());
    }
  });

  test("D8 of two hundred keys raced on both instances both answers name the same places, and a fresh instance shows the same events", async () => {
    await using here = await TestSubscriber.live(one.url, "/events?envelope=true");
    await using there = await TestSubscriber.live(other.url, "/events?envelope=true");
    const before = new Set((await readTopics(kafka, topics)).map(({ place }) => place));
    const places: string[] = [];
    for (let n = 0; n < 200; n += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const body = bodyOf(n + i);
          const answers = await Promise.all(
            [one, other].map(({ url }) => post(url, body, `raced ${n + i}`)),
          );
          const [first, second] = answers;
          expect(second?.events).toEqual(first?.events ?? []);
          const duplicates = answers.filter(({ duplicate }) => duplicate).length;
          // Of several events some may come from either.
          if (Array.isArray(body)) expect(duplicates).toBeLessThan(2);
          else expect(duplicates).toBe(1);
          places.push(...(first?.events ?? []).map(placeOf));
        }),
      );
    }
    await sendLast();
    const stored = (await readTopics(kafka, topics)).filter(({ place }) => !before.has(place));
    expect(stored.length).toBeGreaterThan(places.length + 2 * PARTITIONS);
    await using fresh = await start();
    await using late = await TestSubscriber.live(fresh.url, "/events?since=earliest&envelope=true");
    for (const subscriber of [here, there, late]) {
      const seen = await readToLast(subscriber);
      const raced = seen.filter((place) => !before.has(place));
      expect(raced.toSorted()).toEqual(places.toSorted());
    }
    const shown = new Map(
      late.records.map(({ data }) => [placeOf(JSON.parse(data) as Place), data]),
    );
    for (const { data } of [...here.records, ...there.records]) {
      expect(shown.get(placeOf(JSON.parse(data) as Place))).toBe(data);
    }
    const retried = await post(fresh.url, bodyOf(3), "raced 3");
    expect(retried.duplicate).toBe(true);
    for (const place of retried.events.map(placeOf)) expect(places).toContain(place);
  });

  test("D8 twenty at once on one instance are one event, and one answer says that it is new", async () => {
    await using subscriber = await TestSubscriber.live(other.url, `/events?topics=${single}`);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        post(one.url, { topic: single, data: "at once" }, "at once"),
      ),
    );
    expect(answers.filter(({ duplicate }) => !duplicate).length).toBe(1);
    expect(new Set(answers.flatMap(({ events }) => events.map(placeOf))).size).toBe(1);
    await post(other.url, { topic: single, data: "after" }, "after");
    expect((await subscriber.recordsUpTo(2)).map(({ data }) => data)).toEqual([
      '"at once"',
      '"after"',
    ]);
  });

  test("D8 whoever leaves before the answer and sends again elsewhere makes one event", async () => {
    await using here = await TestSubscriber.live(one.url, "/events?envelope=true");
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const left = fetch(`${one.url}/events`, {
          method: "POST",
          headers: { "Content-Type": "application/json", "Idempotency-Key": `left ${n}` },
          body: JSON.stringify(bodyOf(n)),
          signal: AbortSignal.timeout(n % 12),
        });
        await left.catch(() => {
          // It was too late for us.
        });
        return post(other.url, bodyOf(n), `left ${n}`);
      }),
    );
    const places = answers.flatMap(({ events }) => events.map(placeOf));
    await sendLast();
    expect((await readToLast(here)).toSorted()).toEqual(places.toSorted());
  });

  test("D8 a record that is dropped for its mark still has its offset: ids go over it, and look-ups find nothing", async () => {
    const { events } = await post(
      one.url,
      [1, 2, 3].map((data) => ({ topic: single, data })),
      "copied",
    );
    const firsts = (await readTopics(kafka, [single])).slice(-3);
    expect(firsts.map(({ place }) => place)).toEqual(events.map(placeOf));
    await using producer = await connectProducer(kafka);
    for (const { value, headers } of [...firsts, ...firsts.toReversed()]) {
      await producer.send({ topic: single, messages: [{ value, headers }] });
    }
    await post(other.url, { topic: single, data: "the end" }, "the end");
    const stored = await readTopics(kafka, [single]);
    const copies = new Set(stored.slice(-7, -1).map(({ place }) => place));
    const shown = stored.map(({ place }) => place).filter((place) => !copies.has(place));

    for (const { url } of [one, other]) {
      const target = `/events?topics=${single}&since=earliest&envelope=true`;
      await using whole = await TestSubscriber.open(url, target);
      await whole.recordsUpTo(shown.length);
      const [, , tag] = whole.lastEventId.split("~");
      for (const { place, offset } of stored) {
        const found = await fetch(`${url}/events/${place}`);
        expect([place, found.status]).toEqual([place, copies.has(place) ? 404 : 200]);
        await using rest = await TestSubscriber.live(url, target, {
          lastEventId: `1~${single}~${tag}~${offset}`,
        });
        expect(rest.records.map(({ data }) => placeOf(JSON.parse(data) as Place))).toEqual(
          shown.filter((each) => offsetOf(each) >= offset),
        );
        expect(rest.named("reset")).toEqual([]);
      }
    }
  });

  test("D8 G2 keys are known after kill -9 and a new start, with the same log and with an empty one", async () => {
    const answer = await post(one.url, bodyOf(3), "outlives");
    other.kill("SIGKILL");
    await other.exited;
    const answers = [await post(one.url, bodyOf(2), "while it was away")];
    other = await start(directories[1]?.path);
    await using fresh = await start();
    for (const { url } of [other, fresh]) {
      expect(await post(url, bodyOf(3), "outlives")).toEqual({ ...answer, duplicate: true });
      answers.push(await post(url, bodyOf(2), "while it was away"));
    }
    expect(answers.map(({ duplicate }) => duplicate)).toEqual([undefined, true, true]);
    expect(new Set(answers.map(({ events }) => JSON.stringify(events))).size).toBe(1);
  });

  /** One record of the type `last` into every partition. */
  async function sendLast(): Promise<void> {
    await using producer = await connectProducer(kafka);
    const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      value: "",
      headers: { type: "last" },
    }));
    await producer.sendBatch({ topicMessages: topics.map((topic) => ({ topic, messages })) });
  }
});

/** The places that a subscriber was shown before the last record of every partition. */
async function readToLast(subscriber: TestSubscriber): Promise<string[]> {
  await subscriber.until(() => subscriber.named("last").length >= 2 * PARTITIONS);
  return subscriber.records
    .filter(({ event }) => event !== "last")
    .map(({ data }) => placeOf(JSON.parse(data) as Place));
}

function offsetOf(place: string): number {
  return Number(place.slice(place.lastIndexOf("/") + 1));
}
