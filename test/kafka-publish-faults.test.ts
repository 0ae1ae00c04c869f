import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { until } from "./support/feed.ts";
import { connectProducer, readTopics } from "./support/kafka-records.ts";
import { kafkaAvailable, type KafkaCluster, startKafka } from "./support/kafka.ts";
import { metric, publish, type ServerProcess, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(90_000);

const TOPIC = "faults";
const PARTITIONS = 2;
const TIMEOUT_MS = 1000;
/** More than the answer of a process on a busy machine takes. */
const SLACK_MS = 1500;

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly tookMs: number;
  readonly body: {
    readonly type?: string;
    readonly detail?: string;
    readonly mayBeStored?: boolean;
    readonly events?: readonly Place[];
    readonly duplicate?: true;
  };
}

async function post({ url }: ServerProcess, body: unknown, key?: string): Promise<Answer> {
  const startedMs = performance.now();
  const headers: Record<string, string> = key === undefined ? {} : { "Idempotency-Key": key };
  const response = await publish(url, body, headers);
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    // The cast holds: docs/protocol.md.
    body: (await response.json()) as Answer["body"],
    tookMs: performance.now() - startedMs,
  };
}

/** As a client does that was answered 503 or 429. */
async function postUntilDone(...args: Parameters<typeof post>): Promise<Answer> {
  let answer = await post(...args);
  await until(async () => answer.status === 200 || (answer = await post(...args)).status === 200, {
    deadlineMs: 30_000,
    describe: () => JSON.stringify(answer),
  });
  return answer;
}

const placeOf = ({ topic, partition, offset }: Place): string => `${topic}/${partition}/${offset}`;
const placesOf = ({ body }: Answer): string[] => (body.events ?? []).map(placeOf);

describe.skipIf(!kafkaAvailable() || process.env["KAFKA_BROKERS"] !== undefined)(
  "two instances on a broker that fails",
  () => {
    let kafka: KafkaCluster;
    let one: ServerProcess;
    let other: ServerProcess;

    const start = (): Promise<ServerProcess> =>
      startServer({
        KAFKA_BROKERS: kafka.brokers.join(","),
        KAFKA_TOPICS: TOPIC,
        PUBLISH_TIMEOUT: String(TIMEOUT_MS),
      });

    beforeAll(async () => {
      kafka = await startKafka();
      await kafka.createTopic(TOPIC, PARTITIONS);
      [one, other] = await Promise.all([start(), start()]);
    });

    afterAll(async () => {
      await Promise.all([one, other].map((instance) => instance[Symbol.asyncDispose]()));
      await kafka.stop();
    });

    /** Events under keys, some in arrays, half of the keys to each instance. */
    function postAll(name: string, send: typeof post): Promise<Answer[]> {
      return Promise.all(
        Array.from({ length: 24 }, (_, n) => {
          const event = (i: number): object => ({ key: `${n}.${i}`, data: `${name} ${n}.${i}` });
          const body = n % 3 === 0 ? [event(1), event(2), event(3)] : event(1);
          return send(n % 2 === 0 ? one : other, body, `${name} ${n}`);
        }),
      );
    }

    test("D7 D8 what was given up on while the broker stood still is one event when it is sent again elsewhere, stored or not, and the broker killed in between", async () => {
      await using here = await TestSubscriber.live(one.url, "/events?envelope=true");
      await using there = await TestSubscriber.live(other.url, "/events?envelope=true");
      const lost: Answer[] = [];
      for (const name of ["stored", "killed"]) {
        // So that what is sent next is on connections that are open, not in the making.
        for (const instance of [one, other]) await postUntilDone(instance, { data: "ready" });
        const before = (await readTopics(kafka, [TOPIC])).length;
        kafka.pause(1);
        const answers = await postAll(name, post);
        expect(answers.some(({ body }) => body.mayBeStored)).toBe(true);
        lost.push(...answers);
        if (name === "killed") break;
        kafka.resume(1);
        await until(async () => (await readTopics(kafka, [TOPIC])).length > before);
      }
      for (const { status, retryAfter, body, tookMs } of lost) {
        expect({ status, retryAfter, body }).toMatchObject({
          status: 503,
          retryAfter: "1",
          body: { type: "/errors/publish-timeout", mayBeStored: expect.any(Boolean) },
        });
        expect(tookMs).toBeWithin(TIMEOUT_MS - 5, TIMEOUT_MS + SLACK_MS);
      }
      await kafka.kill(1);
      const down = await post(one, { data: "never" });
      expect(down).toMatchObject({ status: 503, retryAfter: "1", body: { mayBeStored: false } });
      const ready = await fetch(`${one.url}/readyz`);
      expect([ready.status, await ready.json()]).toEqual([
        200,
        { status: "ready", degraded: ["kafka"] },
      ]);
      await kafka.start(1);
      [one, other] = [other, one];
      const stored = await postAll("stored", postUntilDone);
      const killed = await postAll("killed", postUntilDone);
      expect(stored.some(({ body }) => body.duplicate)).toBe(true);

      await sendLast();
      const places = [...stored, ...killed].flatMap(placesOf).toSorted();
      expect(places.length).toBe(2 * (8 * 3 + 16));
      await using fresh = await start();
      const target = "/events?since=earliest&envelope=true";
      await using late = await TestSubscriber.open(fresh.url, target);
      for (const subscriber of [here, there, late]) {
        const seen = await readToLast(subscriber);
        expect(seen.map(({ payload }) => payload)).not.toContain("never");
        const ours = seen.filter(({ payload }) => payload !== "ready");
        expect(ours.map(placeOf).toSorted()).toEqual(places);
      }
    });

    async function sendLast(): Promise<void> {
      await using producer = await connectProducer(kafka);
      const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({
        partition,
        value: "",
        headers: { type: "last" },
      }));
      await producer.send({ topic: TOPIC, messages });
    }

    test("D7 a key that is used again while its first use waits is answered in its own time", async () => {
      await postUntilDone(one, { data: "ready" });
      kafka.pause(1);
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => post(one, { data: "impatient" }, "impatient")),
      );
      kafka.resume(1);
      for (const { status, tookMs } of answers) {
        expect(status).toBe(503);
        expect(tookMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
      }
      await postUntilDone(other, { data: "impatient" }, "impatient");
      await using subscriber = await TestSubscriber.live(other.url, "/events?since=earliest");
      const seen = subscriber.records.filter(({ data }) => data === '"impatient"');
      expect(seen.length).toBe(1);
    });

    test("D9 what waits for a broker that stands still is bounded: the rest is 429 at once, and all goes on afterwards", async () => {
      await postUntilDone(one, { data: "ready" });
      kafka.pause(1);
      const body = JSON.stringify([1, 2, 3, 4].map(() => ({ data: "x".repeat(250_000) })));
      const answers = await Promise.all(Array.from({ length: 40 }, () => post(one, body)));
      const refused = answers.filter(({ status }) => status === 429);
      // 16 fit; on a slow machine some are given up on, and make room, before the last has come.
      expect(refused.length).toBeWithin(10, 25);
      for (const { retryAfter, body: problem } of refused) {
        expect(retryAfter).toBe("1");
        expect(problem).toMatchObject({ type: "/errors/publish-queue-full", mayBeStored: false });
      }
      const late = answers.filter(({ status }) => status !== 429);
      for (const { status, retryAfter, tookMs } of late) {
        expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: "1" });
        expect(tookMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
      }
      expect(residentBytes(one.pid)).toBeLessThan(400 << 20);
      expect(await metric(one.url, 'headgate_published_total{result="queue-full"}')).toBe(
        refused.length * 4,
      );
      kafka.resume(1);
      await postUntilDone(one, { data: "after" });
    });
  },
);

async function readToLast(
  subscriber: TestSubscriber,
): Promise<(Place & { readonly payload: unknown })[]> {
  await subscriber.until(() => subscriber.named("last").length === PARTITIONS);
  return subscriber.records
    .filter(({ event }) => event !== "last")
    .map(({ data }) => JSON.parse(data) as Place & { payload: unknown });
}

function residentBytes(pid: number): number {
  const [, kilobytes] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
