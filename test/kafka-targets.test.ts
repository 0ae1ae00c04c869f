import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { IHeaders, Message } from "kafkajs";
import {
  connectProducer,
  headerValues,
  type KafkaRecord,
  readTopics,
} from "./support/kafka-records.ts";
import { kafkaAvailable, type KafkaCluster, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { publish, type ServerProcess, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(90_000);

const PARTITIONS = 4;
const MAX_EVENT_BYTES = 50_000;
/** A multiple of 5. */
const ROUNDS = 30;

/** What one subscriber says of itself and asks for. */
interface Wishes {
  readonly user?: string;
  readonly client?: string;
  readonly channels?: readonly string[];
  /** Index into the topics; both where it is left out. */
  readonly topic?: number;
  readonly types?: readonly string[];
}

/** U+FFFD is what bytes that are no UTF-8 are often read as: nobody of that name may profit. */
const REPLACEMENT = "\uFFFD";
const USERS = ["alice", "bob", "Alice", "ünï ☃", "__proto__", REPLACEMENT];
const CHANNELS = ["news", "sport", "a,b", "constructor", REPLACEMENT];
const CLIENTS = ["phone", "tablet", "till-7"];

const WISHES: readonly Wishes[] = [
  ...USERS.flatMap((user): Wishes[] => [
    { user },
    { user, channels: ["news"] },
    { user, client: "phone", topic: 0 },
  ]),
  ...CHANNELS.map((channel): Wishes => ({ channels: [channel] })),
  { channels: CHANNELS },
  { channels: ["news", "sport"], types: ["a.*", "message", "last"] },
  ...CLIENTS.map((client): Wishes => ({ client })),
  { user: "bob", client: "tablet", channels: ["sport"], types: ["b", "last"] },
  { topic: 1 },
  {},
];

/** Whether a subscriber is to get a record, by the protocol's words and not by our code. */
function isFor(record: KafkaRecord, wishes: Wishes, topics: readonly string[]): boolean {
  if (wishes.topic !== undefined && record.topic !== topics[wishes.topic]) return false;
  const [type = "message"] = headerValues(record, "type").map(String);
  const isWanted = (pattern: string): boolean =>
    pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
  if (wishes.types && !wishes.types.some(isWanted)) return false;
  const names = {
    "headgate-user": wishes.user === undefined ? [] : [wishes.user],
    "headgate-client": wishes.client === undefined ? [] : [wishes.client],
    "headgate-channel": wishes.channels ?? [],
  };
  const named = Object.keys(names).flatMap((header) => headerValues(record, header));
  if (named.length === 0) return true;
  return Object.entries(names).some(([header, own]) =>
    headerValues(record, header).some((value) =>
      own.some((name) => value.equals(Buffer.from(name))),
    ),
  );
}

describe.skipIf(!kafkaAvailable())("two instances on one Kafka", () => {
  let kafka: KafkaCluster;
  let topics: string[];
  let instances: ServerProcess[];

  beforeAll(async () => {
    kafka = await sharedKafka();
    topics = [uniqueTopic("one"), uniqueTopic("two")];
    for (const topic of topics) await kafka.createTopic(topic, PARTITIONS);
    const settings = {
      KAFKA_BROKERS: kafka.brokers.join(","),
      KAFKA_TOPICS: topics.join(","),
      SSE_MAX_EVENT_BYTES: String(MAX_EVENT_BYTES),
      SSE_HEARTBEAT_INTERVAL: "200",
    };
    instances = await Promise.all([startServer(settings), startServer(settings)]);
  });

  afterAll(() => Promise.all(instances.map((instance) => instance[Symbol.asyncDispose]())));

  test("F19 everybody gets what names them and what names nobody, once and in order, wherever it was sent and wherever they hop", async () => {
    const random = seededRandom(20_261);
    const urls = instances.map(({ url }) => url);
    const texts = new Map<string, string>();
    const readers = WISHES.flatMap((wishes, i) =>
      [0, 1].map((home) => {
        const isHopping = (i + home) % 2 === 0;
        return new Reader({ wishes, topics, urls, home, isHopping, random, texts });
      }),
    );
    const reading = Promise.all(readers.map((reader) => reader.run()));
    // What is sent does not depend on when readers hop.
    await send(kafka, urls, topics, seededRandom(4711));
    await sendLast(kafka, topics);
    await reading;

    const stored = await readTopics(kafka, topics);
    expect(stored.length).toBe(ROUNDS * 30 + topics.length * PARTITIONS);
    for (const { wishes, places, resets } of readers) {
      const expected = stored.filter((record) => isFor(record, wishes, topics));
      expect({ wishes, ...differences(places, expected, stored), resets }).toEqual({
        wishes,
        missing: [],
        surplus: [],
        outOfOrder: [],
        resets: [],
      });
    }
    expect(readers.reduce((sum, { hops }) => sum + hops, 0)).toBeGreaterThan(WISHES.length);
  });

  test("look-ups and the newest events show on both instances what names nobody or the channels asked for", async () => {
    const stored = await readTopics(kafka, topics);
    const shown = (wishes: Wishes): Set<string> =>
      new Set(stored.filter((record) => isFor(record, wishes, topics)).map(({ place }) => place));
    for (const channels of [[], ["news"], [REPLACEMENT], ["a,b", "sport"]]) {
      const expected = shown({ channels });
      const query = channels.length === 0 ? "" : `channels=${listOf(channels)}`;
      for (const { url } of instances) {
        const sample = stored.filter((_, i) => i % 40 === 0);
        const statuses = await Promise.all(
          sample.map(async ({ place }) => (await fetch(`${url}/events/${place}?${query}`)).status),
        );
        expect(statuses).toEqual(sample.map(({ place }) => (expected.has(place) ? 200 : 404)));
        const recent = await fetch(`${url}/events/recent?limit=1000&${query}`);
        const { events } = (await recent.json()) as { events: Place[] };
        expect(events.length).toBe(Math.min(1000, expected.size));
        for (const event of events) expect(expected).toContain(placeOf(event));
      }
    }
  });
});

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

const placeOf = ({ topic, partition, offset }: Place): string => `${topic}/${partition}/${offset}`;

/** A subscriber that reads to the end, on one instance or on both in turn. */
class Reader {
  readonly wishes: Wishes;
  readonly places: string[] = [];
  readonly resets: string[] = [];
  hops = 0;
  /** What was shown at each place: the same to everybody. */
  readonly #texts: Map<string, string>;
  readonly #urls: readonly string[];
  readonly #target: string;
  readonly #isHopping: boolean;
  readonly #random: () => number;
  #instance: number;
  #lastEventId = "";
  #ends: number;

  constructor(options: {
    wishes: Wishes;
    topics: readonly string[];
    urls: readonly string[];
    home: number;
    isHopping: boolean;
    random: () => number;
    texts: Map<string, string>;
  }) {
    const { wishes, topics } = options;
    this.wishes = wishes;
    this.#texts = options.texts;
    this.#urls = options.urls;
    this.#isHopping = options.isHopping;
    this.#random = options.random;
    this.#instance = options.home;
    const served = topics.filter((_, i) => wishes.topic === undefined || wishes.topic === i);
    this.#ends = served.length * PARTITIONS;
    const query = [
      `topics=${served.join(",")}`,
      "since=earliest&envelope=true",
      ...(wishes.user === undefined ? [] : [`userId=${encodeURIComponent(wishes.user)}`]),
      ...(wishes.client === undefined ? [] : [`clientId=${wishes.client}`]),
      ...(wishes.channels === undefined ? [] : [`channels=${listOf(wishes.channels)}`]),
      ...(wishes.types === undefined ? [] : [`types=${wishes.types.join(",")}`]),
    ];
    this.#target = `/events?${query.join("&")}`;
  }

  /** Reads until the last record of every partition has come. */
  async run(): Promise<void> {
    while (this.#ends > 0) {
      const url = this.#urls[this.#instance] ?? "";
      const isInHeader = this.#random() < 0.5;
      const given = this.#lastEventId;
      await using stream = await TestSubscriber.open(
        url,
        isInHeader || given === "" ? this.#target : `${this.#target}&lastEventId=${given}`,
        isInHeader ? { lastEventId: given } : {},
      );
      const quota = this.#isHopping ? 1 + Math.floor(this.#random() * 80) : Infinity;
      const stayMs = this.#isHopping ? this.#random() * 200 : 60_000;
      const last = new LastRecords(stream);
      await stream
        .until(() => stream.events.length >= quota || last.count() >= this.#ends, {
          deadlineMs: stayMs,
        })
        .catch(() => {
          // It has been here for long enough.
        });
      await stream.cut();
      this.#ends -= last.count();
      this.#take(stream);
      if (!this.#isHopping && this.#ends > 0) throw new Error(`${this.#target} waits in vain`);
      this.#instance = 1 - this.#instance;
      this.hops += 1;
    }
  }

  #take(stream: TestSubscriber): void {
    this.#lastEventId = stream.lastEventId || this.#lastEventId;
    this.resets.push(...stream.named("reset").map(({ data }) => data));
    for (const { data } of stream.records) {
      const place = placeOf(JSON.parse(data) as Place);
      this.places.push(place);
      const text = this.#texts.get(place) ?? data;
      if (text !== data) throw new Error(`${place} is ${data} here, and ${text} there`);
      this.#texts.set(place, text);
    }
  }
}

/** Counts the last records that a stream has brought, looking at each event once. */
class LastRecords {
  readonly #stream: TestSubscriber;
  #looked = 0;
  #count = 0;

  constructor(stream: TestSubscriber) {
    this.#stream = stream;
  }

  count(): number {
    for (const { event } of this.#stream.events.slice(this.#looked)) {
      if (event === "last") this.#count += 1;
      this.#looked += 1;
    }
    return this.#count;
  }
}

/** The last record of every partition, which everybody gets. */
async function sendLast(kafka: KafkaCluster, topics: readonly string[]): Promise<void> {
  await using producer = await connectProducer(kafka);
  const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    value: '"the last"',
    headers: { type: "last" },
  }));
  await producer.sendBatch({ topicMessages: topics.map((topic) => ({ topic, messages })) });
}

/** Sends targeted events and broadcasts, by POST on both instances and by a producer of its own. */
async function send(
  kafka: KafkaCluster,
  urls: readonly string[],
  topics: readonly string[],
  random: () => number,
): Promise<void> {
  const anyOf = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const common = (): { key?: string; type?: string } => ({
    ...(random() < 0.5 && { key: `key ${Math.floor(random() * 10)}` }),
    ...(random() < 0.5 && { type: anyOf(["a.x", "a.y", "b"]) ?? "" }),
  });
  await using producer = await connectProducer(kafka);
  let underWay: Promise<unknown>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const posts = urls.map(async (url, i) => {
      const events = Array.from({ length: 10 }, (_, n) => ({
        ...common(),
        topic: anyOf(topics),
        data: { round, i, n },
        ...(random() < 0.8 && { to: anyOf(POSTED_TO) }),
      }));
      const response = await publish(url, events);
      expect(await response.json()).toMatchObject({ published: 10 });
    });
    const messages = Array.from({ length: 10 }, (_, n): Message => {
      const { key = null, type } = common();
      const nth = round * 10 + n;
      // Every audience in turn, and each of them with a record that is too large to be shown, too.
      const isLarge = nth % (WRITTEN_TO.length + 1) === 0;
      const audience = WRITTEN_TO[nth % WRITTEN_TO.length];
      return {
        key,
        value: isLarge ? "x".repeat(MAX_EVENT_BYTES) : JSON.stringify({ round, n }),
        headers: { ...(type !== undefined && { type }), ...audience },
      };
    });
    const topicMessages = topics.map((topic, i) => ({
      topic,
      messages: messages.filter((_, n) => n % topics.length === i),
    }));
    underWay.push(...posts, producer.sendBatch({ topicMessages }));
    if (round % 5 < 4) continue;
    await Promise.all(underWay);
    underWay = [];
  }
}

/** Audiences as `to` has them. */
const POSTED_TO = [
  ...USERS.map((user) => ({ user })),
  ...CHANNELS.map((channel) => ({ channel })),
  ...CLIENTS.map((client) => ({ client })),
  { user: USERS, channel: "news" },
  { user: ["bob", "bob"], client: ["phone", "till-7"], channel: ["sport", "nowhere"] },
  { user: "nobody" },
];

const NOT_UTF_8 = [Buffer.of(0xff), Buffer.of(0xc3, 0x28), Buffer.from("alice\xff", "latin1")];

/** Audiences as only other producers can write them. */
const WRITTEN_TO: readonly IHeaders[] = [
  {},
  { "headgate-user": "alice" },
  { "headgate-user": ["alice", "bob", "alice"], trace: ["1", "2"] },
  { "headgate-user": "bob", "headgate-channel": "sport", "headgate-client": "tablet" },
  { "headgate-channel": ["news", "a,b"], "headgate-client": ["phone", "phone"] },
  { "headgate-user": "" },
  { "headgate-user": ["", "Alice"], "headgate-channel": "", "headgate-client": "" },
  { "headgate-user": NOT_UTF_8 },
  { "headgate-channel": NOT_UTF_8 },
  { "headgate-client": NOT_UTF_8, "headgate-channel": [Buffer.of(0xff), "sport"] },
  { "headgate-user": ["alice\n", "\uFEFFalice", " alice", "alice\0"] },
  { "headgate-user": [...Array.from({ length: 999 }, (_, i) => `user ${i}`), "bob"] },
  { "headgate-channel": Array.from({ length: 1000 }, (_, i) => `channel ${i}`) },
  // Longer than what is kept of a record that is too large to be shown.
  { "headgate-user": "a".repeat(5000) },
  { "headgate-user": ["a".repeat(5000), "alice"], "headgate-channel": "b".repeat(4096) },
];

function listOf(names: readonly string[]): string {
  return names.map(encodeURIComponent).join(",");
}

/** How what came differs from what was to come, each once and each partition in its order. */
function differences(
  places: readonly string[],
  expected: readonly KafkaRecord[],
  stored: readonly KafkaRecord[],
): Record<"missing" | "surplus" | "outOfOrder", string[]> {
  const came = new Set(places);
  const wanted = new Set(expected.map(({ place }) => place));
  const order = new Map(stored.map(({ place }, i) => [place, i]));
  const last = new Map<string, number>();
  const outOfOrder = places.filter((place) => {
    const partition = place.slice(0, place.lastIndexOf("/"));
    const at = order.get(place) ?? -1;
    const isLate = at <= (last.get(partition) ?? -1);
    last.set(partition, at);
    return isLate;
  });
  return {
    missing: expected.filter(({ place }) => !came.has(place)).map(({ place }) => place),
    surplus: stored
      .filter(({ place }) => came.has(place) && !wanted.has(place))
      .map(({ place, headers }) => `${place} ${JSON.stringify(headers).slice(0, 200)}`),
    outOfOrder,
  };
}

/** Park and Miller's generator. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
