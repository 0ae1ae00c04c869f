import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "./support/feed.ts";
import { freePort } from "./support/kafka-node.ts";
import { connectProducer, readTopics } from "./support/kafka-records.ts";
import { kafkaAvailable, type KafkaCluster, startKafka, uniqueTopic } from "./support/kafka.ts";
import { RawPeer } from "./support/peers.ts";
import { spawnServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import type { EventReader } from "./support/subscriber.ts";
import {
  askWorker,
  cutAll,
  servedBy,
  subscribeTo,
  twoOf,
  withWorkers,
  type WorkersServer,
} from "./support/workers.ts";

setDefaultTimeout(90_000);

const isPossible = kafkaAvailable() && process.env["KAFKA_BROKERS"] === undefined;

const TIMEOUT_MS = 1000;
const PARTITIONS = 3;

/** What an envelope says. */
interface Envelope {
  readonly partition: number;
  readonly offset: number;
  readonly payload: unknown;
}

// The cast holds: docs/protocol.md.
const envelopesOf = (stream: EventReader): Envelope[] =>
  stream.records.map(({ data }) => JSON.parse(data) as Envelope);

const placesOf = (stream: EventReader): string[] =>
  envelopesOf(stream).map(({ partition, offset }) => `${partition}/${offset}`);

describe.skipIf(!isPossible)("two workers on real Kafka", () => {
  let kafka: KafkaCluster;
  let server: WorkersServer;
  const directory = temporaryDirectory();
  const topic = uniqueTopic("workers");
  const remade = uniqueTopic("remade");

  const subscribe = (pid: number, query: string, lastEventId?: string): Promise<RawPeer> =>
    subscribeTo(
      server,
      pid,
      `/events?envelope=true&${query}`,
      lastEventId === undefined ? "" : `Last-Event-ID: ${lastEventId}\r\n`,
    );

  /** Two streams of each worker, live. */
  const subscribeAll = async (query: string): Promise<RawPeer[]> => {
    const workers = twoOf(server);
    const peers = await Promise.all([...workers, ...workers].map((pid) => subscribe(pid, query)));
    for (const { stream } of peers) await stream.first("live");
    return peers;
  };

  beforeAll(async () => {
    kafka = await startKafka({ properties: { "delete.topic.enable": "true" } });
    for (const name of [topic, remade]) await kafka.createTopic(name, PARTITIONS);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
    await kafka.stop();
  });

  test("F1 workers that start before Kafka is there hold their streams, and all of them begin when it comes", async () => {
    await kafka.kill(1);
    const port = await freePort();
    const starting = spawnServer({
      WORKERS: "2",
      DATA_DIR: directory.path,
      PORT: String(port),
      KAFKA_BROKERS: kafka.brokers.join(","),
      KAFKA_TOPICS: `${topic},${remade}`,
      PUBLISH_TIMEOUT: String(TIMEOUT_MS),
      SSE_HEARTBEAT_INTERVAL: "300",
    });
    const url = `http://127.0.0.1:${port}`;
    server = withWorkers({ ...starting, url, port });
    await until(() => server.stdout().includes("server is listening"));
    const workers = twoOf(server);
    const peers = await Promise.all(
      Array.from({ length: 20 }, () => RawPeer.subscribe(port, `/events?topics=${topic}`)),
    );
    expect(new Set(servedBy(peers, workers))).toEqual(new Set(workers));
    for (const { stream } of peers) {
      expect((await stream.first("connection")).id).toBe("");
      await stream.first("heartbeat");
    }
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    await kafka.start(1);
    for (const { stream } of peers) await stream.first("live");
    for (const pid of workers) {
      await until(async () => (await askWorker(server, pid, "/readyz")).status === 200);
    }
    await cutAll(peers);
  });

  test("F19 what is published over HTTP on any worker, and by any producer, comes on all of them in one order", async () => {
    const peers = await subscribeAll(`topics=${topic}`);
    await using producer = await connectProducer(kafka);
    const expected: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const value = `p${round}`;
      const sent = [0, 1].map((n) => `h${round}-${n}`);
      expected.push(value, ...sent);
      const posts = twoOf(server).map(async (pid, i) => {
        const body = { topic, key: `k${round}`, data: sent[i] };
        const { status, text } = await askWorker(server, pid, "/events", { body });
        expect([status, JSON.parse(text)]).toMatchObject([200, { published: 1, receivers: 4 }]);
      });
      const messages = [{ key: value, value: JSON.stringify(value) }];
      await Promise.all([...posts, producer.send({ topic, messages })]);
    }
    const [first] = peers;
    for (const { stream } of peers) {
      await stream.recordsUpTo(expected.length);
      expect(stream.records.map(({ id }) => id)).toEqual(
        first?.stream.records.map(({ id }) => id) ?? [],
      );
      expect(placesOf(stream)).toEqual(first ? placesOf(first.stream) : []);
      const payloads = envelopesOf(stream).map(({ payload }) => String(payload));
      expect(payloads.toSorted()).toEqual(expected.toSorted());
    }
    const stored = await readTopics(kafka, [topic]);
    const places = stored.map(({ partition, offset }) => `${partition}/${offset}`);
    expect(first && placesOf(first.stream).toSorted()).toEqual(places.toSorted());
    await cutAll(peers);
  });

  test("B8 F20 a position beyond Kafka's end is held by each worker, until Kafka has said so twice", async () => {
    const peers = await subscribeAll(`topics=${topic}`);
    const { id } = peers[0]?.stream.named("live")[0] ?? { id: "" };
    const ahead = id.replace(/\d+$/, (offset) => String(Number(offset) + 1000));
    const sinceMs = performance.now();
    const held = await Promise.all(
      twoOf(server).map((pid) => subscribe(pid, `topics=${topic}`, ahead)),
    );
    for (const { stream } of held) {
      expect((await stream.first("heartbeat")).id).toBe(ahead);
      expect(stream.named("reset")).toEqual([]);
    }
    for (const { stream } of held) {
      const reset = await stream.first("reset", { deadlineMs: 20_000 });
      expect(JSON.parse(reset.data)).toMatchObject({ reason: "ahead", topics: [topic] });
      expect(reset.atMs - sinceMs).toBeGreaterThan(4900);
      expect((await stream.first("live")).id).toBe(id);
    }
    await cutAll([...peers, ...held]);
  });

  test("G2 a worker that took the place of a killed one has all that was held, and ids hold on it", async () => {
    const [killed, spared] = twoOf(server);
    await using before = await subscribe(killed, `topics=${topic}&since=earliest`);
    await before.stream.first("live");
    const stored = before.stream.records.length;
    process.kill(killed, "SIGKILL");
    const body = { topic, key: "k", data: "meanwhile" };
    expect((await askWorker(server, spared, "/events", { body })).status).toBe(200);
    await until(() => server.workers().length === 2);
    const [one, other] = twoOf(server);
    const fresh = one === spared ? other : one;
    await using all = await subscribe(fresh, `topics=${topic}&since=earliest`);
    await all.stream.recordsUpTo(stored + 1);
    expect(placesOf(all.stream).slice(0, stored)).toEqual(placesOf(before.stream));
    const from = before.stream.records[5]?.id ?? "";
    await using rest = await subscribe(fresh, `topics=${topic}`, from);
    await rest.stream.recordsUpTo(stored - 5);
    expect(placesOf(rest.stream)).toEqual(placesOf(all.stream).slice(6));
    expect(rest.stream.named("reset")).toEqual([]);
  });

  test("D7 F2 while the broker is away streams live on all workers and publishes are 503; then it heals on all", async () => {
    const peers = await subscribeAll(`topics=${topic}`);
    const workers = twoOf(server);
    await kafka.kill(1);
    for (const pid of workers) {
      const body = { topic, data: "never" };
      const { status, text } = await askWorker(server, pid, "/events", { body });
      expect([status, JSON.parse(text)]).toMatchObject([
        503,
        { type: "/errors/publish-timeout", mayBeStored: expect.any(Boolean) },
      ]);
      await until(async () => {
        const ready = await askWorker(server, pid, "/readyz");
        return ready.status === 200 && ready.text.includes('"degraded":["kafka"]');
      });
    }
    for (const { stream } of peers) {
      const beats = stream.named("heartbeat").length;
      await stream.until(() => stream.named("heartbeat").length > beats + 2);
      expect(stream.isEnded).toBe(false);
    }
    await kafka.start(1);
    for (const [i, pid] of workers.entries()) {
      const ask = {
        body: { topic, data: `back ${i}` },
        headers: { "Idempotency-Key": `back ${i}` },
      };
      await until(async () => (await askWorker(server, pid, "/events", ask)).status === 200);
      await until(async () => !(await askWorker(server, pid, "/readyz")).text.includes("degraded"));
    }
    for (const { stream } of peers) {
      const isBack = (): boolean =>
        [0, 1].every((i) => stream.records.some(({ data }) => data.includes(`"back ${i}"`)));
      await stream.until(isBack, { deadlineMs: 30_000 });
      expect(new Set(placesOf(stream)).size).toBe(stream.records.length);
      expect(stream.named("reset")).toEqual([]);
    }
    await cutAll(peers);
  });

  test("F6 a topic that is made anew is told on all workers, to open streams and to those who come back", async () => {
    const peers = await subscribeAll(`topics=${remade}`);
    const [pid] = twoOf(server);
    const body = { topic: remade, data: "old" };
    expect((await askWorker(server, pid, "/events", { body })).status).toBe(200);
    const ids = await Promise.all(
      peers.map(async ({ stream }) => (await stream.recordsUpTo(1))[0]?.id ?? ""),
    );
    await kafka.deleteTopic(remade);
    await until(async () =>
      kafka.withAdmin(async (admin) => !(await admin.listTopics()).includes(remade)),
    );
    await kafka.createTopic(remade, PARTITIONS);
    await using producer = await connectProducer(kafka);
    await producer.send({ topic: remade, messages: [{ value: '"new"' }] });
    const again = await Promise.all(
      twoOf(server).map((worker) => subscribe(worker, `topics=${remade}`, ids[0])),
    );
    for (const [i, { stream }] of [...peers, ...again].entries()) {
      const reset = await stream.first("reset", { deadlineMs: 40_000 });
      expect(JSON.parse(reset.data)).toMatchObject({ reason: "recreated", topics: [remade] });
      const isOpen = i < peers.length;
      await stream.recordsUpTo(isOpen ? 2 : 1);
      const payloads = envelopesOf(stream).map(({ payload }) => payload);
      expect(payloads).toEqual(isOpen ? ["old", "new"] : ["new"]);
      expect(stream.named("reset")).toHaveLength(1);
    }
    await cutAll([...peers, ...again]);
  });
});
