import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/kafka-node.ts";
import { kafkaAvailable, startKafka, uniqueTopic } from "../support/kafka.ts";
import { until } from "../support/feed.ts";
import { type ServerProcess, type Settings, startServer } from "../support/server.ts";
import { HoppingReader } from "./hopping-reader.ts";
import { produceNumbered } from "./numbered-records.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const RECORDS = 100_000;
const READERS = 50;
const PARTITIONS = 4;
const AFTERWARDS = 120;

describe.skipIf(!kafkaAvailable())("with real Kafka", () => {
  test("F2 F6 F19 G2 fifty readers on two instances get 100,000 records once and in order, through killed instances, a killed broker and a re-created topic", async () => {
    await using kafka = await startKafka({ properties: { "delete.topic.enable": "true" } });
    using directory = temporaryDirectory();
    const topics = ["a", "b", "c"].map((name) => uniqueTopic(name));
    for (const topic of topics) await kafka.createTopic(topic, PARTITIONS);
    const instances = await Promise.all(
      ["one", "two"].map(async (name) => {
        const env = {
          KAFKA_BROKERS: kafka.brokers.join(","),
          KAFKA_TOPICS: topics.join(","),
          DATA_DIR: join(directory.path, name),
          PORT: String(await freePort()),
        };
        return new Instance(env);
      }),
    );
    const random = seededRandom(4711);
    const urls = instances.map(({ url }) => url);
    const readers = Array.from(
      { length: READERS },
      () => new HoppingReader({ urls, random, maxStayMs: 3000 }),
    );
    try {
      await Promise.all(instances.map((instance) => instance.start()));
      const running = readers.map((reader) => reader.run());
      const producing = Promise.all(
        ["p1", "p2"].map((name) =>
          produceNumbered({
            brokers: kafka.brokers,
            name,
            topics,
            partitions: PARTITIONS,
            count: RECORDS / 2,
            batch: 240,
            pauseMs: 80,
          }),
        ),
      );
      const received = (): number => readers.reduce((sum, reader) => sum + reader.received, 0);
      const share = async (part: number): Promise<void> =>
        waitFor(() => received() >= RECORDS * READERS * part, "progress");
      const [one, two] = instances;
      await share(0.1);
      await one?.kill();
      await one?.start();
      await share(0.3);
      await kafka.kill(1);
      await kafka.start(1);
      await share(0.5);
      await two?.kill();
      await two?.start();
      await share(0.7);
      await one?.kill();
      await one?.start();
      await producing;
      await waitFor(() => readers.every((reader) => reader.received === RECORDS), "all records");
      expect(readers.flatMap(({ failures }) => failures)).toEqual([]);
      expect(readers.flatMap(({ resets }) => resets)).toEqual([]);

      const [recreated = ""] = topics;
      await kafka.deleteTopic(recreated);
      await kafka.withAdmin(async (admin) => {
        await waitFor(async () => !(await admin.listTopics()).includes(recreated), "the deletion");
      });
      await kafka.createTopic(recreated, PARTITIONS);
      await produceNumbered({
        brokers: kafka.brokers,
        name: "p3",
        topics,
        partitions: PARTITIONS,
        count: AFTERWARDS,
        batch: AFTERWARDS,
        pauseMs: 0,
      });
      const total = RECORDS + AFTERWARDS;
      await waitFor(() => readers.every((reader) => reader.received === total), "the new topic");
      expect(readers.flatMap(({ failures }) => failures)).toEqual([]);
      for (const { resets } of readers) {
        expect(resets.map(({ reason, topics: of }) => ({ reason, of }))).toEqual([
          { reason: "recreated", of: [recreated] },
        ]);
      }
      for (const reader of readers) reader.stop();
      await Promise.all(running);
    } catch (error) {
      for (const { output } of instances) process.stderr.write(output.slice(-3000));
      const seen = readers.map(({ received: count, resets, failures }) => ({
        count,
        resets,
        failures: failures.slice(0, 3),
      }));
      process.stderr.write(JSON.stringify(seen).slice(0, 5000));
      throw error;
    } finally {
      for (const reader of readers) reader.stop();
      await Promise.all(instances.map((instance) => instance.kill()));
    }
  }, 300_000);
});

/** A server process on a port that stays its own over restarts. */
class Instance {
  readonly url: string;
  readonly #settings: Settings;
  #server: ServerProcess | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.url = `http://127.0.0.1:${settings["PORT"]}`;
  }

  get output(): string {
    return this.#server?.stdout() ?? "";
  }

  async start(): Promise<void> {
    this.#server = await startServer(this.#settings);
  }

  async kill(): Promise<void> {
    this.#server?.kill("SIGKILL");
    await this.#server?.exited;
  }
}

function waitFor(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  return until(isTrue, { deadlineMs: 120_000, describe: () => `Waited in vain for ${what}` });
}

/** Park and Miller's generator: the same run again, as far as timing allows. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
