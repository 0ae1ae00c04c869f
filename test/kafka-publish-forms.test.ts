import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CloudEvent, type CloudEventV1, HTTP, Kafka, type Message } from "cloudevents";
import {
  connectProducer,
  headerValues,
  type KafkaRecord,
  readTopics,
} from "./support/kafka-records.ts";
import { kafkaAvailable, type KafkaCluster, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { type LocalServer, publish, type Settings, startLocalServer } from "./support/server.ts";

setDefaultTimeout(90_000);

const PARTITIONS = 4;
const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

describe.skipIf(!kafkaAvailable())("what other consumers read of a publish", () => {
  /** One topic a test, each of four partitions but for those whose name says otherwise. */
  const names = ["cloud", "lines", "json", "headers", "keys", "whole", "small"] as const;
  const topics = Object.fromEntries(names.map((name) => [name, uniqueTopic(name)])) as Record<
    (typeof names)[number],
    string
  >;
  let kafka: KafkaCluster;
  let server: LocalServer;

  beforeAll(async () => {
    kafka = await sharedKafka();
    for (const name of names) {
      const configs = name === "small" ? { "max.message.bytes": "20000" } : {};
      await kafka.createTopic(topics[name], name === "lines" ? 1 : PARTITIONS, configs);
    }
    server = await startLocalServer({
      KAFKA_BROKERS: kafka.brokers.join(","),
      KAFKA_TOPICS: Object.values(topics).join(","),
    });
  });

  afterAll(() => server[Symbol.asyncDispose]());

  const read = (topic: string): Promise<KafkaRecord[]> => readTopics(kafka, [topic]);

  /** Publishes what must go through; the places in the order given. */
  async function places(body: unknown, headers: Settings = {}, query = ""): Promise<Place[]> {
    const response = await fetch(`${server.url}/events${query}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body instanceof Uint8Array || typeof body === "string" ? body : JSON.stringify(body),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    const { events } = (await response.json()) as { events: Place[] };
    return events;
  }

  test("CloudEvents of every mode are what the SDK reads in the topic", async () => {
    const common = { source: "https://example.com/%C3%A9", type: "com.example.happened" };
    const json = new CloudEvent({
      ...common,
      id: "1",
      subject: "sübject ☃",
      time: "2026-11-21T14:00:00.000Z",
      partitionkey: "key 1",
      comexampleextension: 'a "quoted" value%',
      data: { text: "é\u2028\n", nested: [1.5, null, true] },
      datacontenttype: "application/json",
    });
    const text = new CloudEvent({
      ...common,
      id: "2",
      datacontenttype: "text/plain",
      data: "a\r\nb",
    });
    const bytes = new CloudEvent({
      ...common,
      id: "3",
      datacontenttype: "application/octet-stream",
      data: Uint8Array.of(0, 1, 127, 128, 255),
    });
    const sent: readonly CloudEventV1<unknown>[] = [json, text, bytes];
    const messages: Message[] = [
      ...sent.map((event) => HTTP.binary(event)),
      ...sent.map((event) => HTTP.structured(event)),
      {
        headers: { "content-type": "application/cloudevents-batch+json" },
        body: `[${sent.map(String).join(",")}]`,
      },
    ];
    const found: Place[] = [];
    for (const { headers, body } of messages) {
      const data = typeof body === "string" ? body : Buffer.from(body as Uint8Array);
      // The SDK leaves to its users what [CloudEvents HTTP binding 1.0.2 §3.1.3.2] asks for.
      const encoded = Object.entries(headers).map(([name, value]) => [
        name.toLowerCase(),
        name.startsWith("ce-") ? encodeURIComponent(String(value)) : String(value),
      ]);
      found.push(...(await places(data, Object.fromEntries(encoded), `?topic=${topics.cloud}`)));
    }
    const records = new Map((await read(topics.cloud)).map((record) => [record.place, record]));
    const events = found.map((place) => understood(records.get(placeOf(place))));
    expect(events.map(shown)).toEqual([...sent, ...sent, ...sent].map(shown));
    const keys = found.map((place) => records.get(placeOf(place))?.key?.toString());
    expect(keys.slice(0, 3)).toEqual(["key 1", undefined, undefined]);
    expect(new Set([0, 3, 6].map((i) => found[i]?.partition)).size).toBe(1);
  });

  test("newline-delimited JSON lies in the order of its lines, in a partition and for a key", async () => {
    const lines = Array.from({ length: 300 }, (_, i) =>
      JSON.stringify({
        topic: i % 2 === 0 ? topics.lines : topics.keys,
        key: i % 2 === 0 ? null : `order ${i % 10}`,
        data: i,
      }),
    );
    const type = { "content-type": "application/x-ndjson" };
    const found = await places(`${lines.slice(0, 150).join("\n")}\n`, type);
    found.push(...(await places(lines.slice(150).join("\r\n"), type)));
    expect(found.length).toBe(300);
    const inOrder = (records: readonly KafkaRecord[]): number[] =>
      records.map(({ value }) => Number(value));
    expect(inOrder(await read(topics.lines))).toEqual(Array.from({ length: 150 }, (_, i) => 2 * i));
    const keyed = Map.groupBy(await read(topics.keys), ({ key }) => String(key));
    for (const [key, records] of keyed) {
      if (!key.startsWith("order ")) continue;
      const digit = Number(key.slice("order ".length));
      expect(inOrder(records)).toEqual(Array.from({ length: 30 }, (_, i) => 10 * i + digit));
    }
  });

  test("A14 A20 JSON is compact text with its digits, null with a key is a tombstone, and null without one is text", async () => {
    const topic = topics.json;
    const bodies = [
      `{"topic":"${topic}","data": { "n" : 9007199254740993, "d": 1.10, "e": 1E+2 } }`,
      `{"topic":"${topic}","key":"k","data":null}`,
      `{"topic":"${topic}","key":null,"data":null}`,
      `{"topic":"${topic}","key":"","data":""}`,
    ];
    const found = (await Promise.all(bodies.map((body) => places(body)))).flat();
    const records = new Map((await read(topic)).map((record) => [record.place, record]));
    const stored = found.map((place) => records.get(placeOf(place)));
    expect(stored.map((record) => record?.value?.toString())).toEqual([
      '{"n":9007199254740993,"d":1.10,"e":1E+2}',
      undefined,
      "null",
      '""',
    ]);
    expect(stored[1]?.value).toBeNull();
    expect(stored.map((record) => record?.key?.toString())).toEqual([
      undefined,
      "k",
      undefined,
      "",
    ]);
  });

  test("type, headers, targets and the trace are Kafka headers; an event that names a trace keeps its own", async () => {
    const topic = topics.headers;
    const headers = { "1": "one", Ünï: "☃", empty: "" };
    const own = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
    const to = { user: ["ann", "ben"], channel: "news", client: "till-7" };
    const found = await places(
      [
        { topic, type: "order.created", headers, to, data: 1 },
        { topic, headers: { traceparent: own }, data: 2 },
      ],
      { traceparent: TRACEPARENT, tracestate: "vendor=1,other=2" },
    );
    found.push(
      ...(await places({ topic, data: 3 }, { traceparent: "00-0-0-00", tracestate: "a=b" })),
    );
    const records = new Map((await read(topic)).map((record) => [record.place, record]));
    const texts = found.map((place) => {
      const record = records.get(placeOf(place));
      const names_ = Object.keys(record?.headers ?? {}).toSorted();
      return Object.fromEntries(
        names_.map((name) => [name, record && headerValues(record, name).map(String)]),
      );
    });
    expect(texts).toEqual([
      {
        "1": ["one"],
        Ünï: ["☃"],
        empty: [""],
        type: ["order.created"],
        "headgate-user": ["ann", "ben"],
        "headgate-channel": ["news"],
        "headgate-client": ["till-7"],
        traceparent: [TRACEPARENT],
        tracestate: ["vendor=1,other=2"],
      },
      { traceparent: [own] },
      {},
    ]);
  });

  test("a key is in the partition that Java's producers choose for it", async () => {
    const keys = ["", "a", "ab", "abc", "ünï ☃", "x".repeat(10_000), "\uFFFD"];
    for (let i = 0; i < 60; i += 1) keys.push(`customer-${i * 7919}`);
    const ours = await places(keys.map((key) => ({ topic: topics.keys, key, data: "ours" })));
    await using producer = await connectProducer(kafka);
    const messages = keys.map((key) => ({ key, value: "theirs" }));
    await producer.send({ topic: topics.keys, messages });
    const theirs = (await read(topics.keys)).filter(({ value }) => String(value) === "theirs");
    const partitions = new Map(theirs.map(({ key, partition }) => [String(key), partition]));
    expect(keys.map((key, i) => [key, ours[i]?.partition])).toEqual(
      keys.map((key) => [key, partitions.get(key)]),
    );
    expect(new Set(partitions.values()).size).toBe(PARTITIONS);
  });

  test.each([
    ["application/json", (events: string[]) => `[${events.join(",")}]`],
    ["application/x-ndjson", (events: string[]) => events.join("\n")],
  ])("D6 one bad event among many of %s, and nothing is in any topic", async (type, join) => {
    const good = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({ topic: i % 2 === 0 ? topics.whole : topics.small, key: `${i}`, data: i }),
    );
    for (const [status, bad] of [
      [400, "{}"],
      [400, '{"data":1,"more":2}'],
      [404, '{"topic":"not-served","data":1}'],
      [422, '{"type":"heartbeat","data":1}'],
      [422, '{"headers":{"headgate-user":"x"},"data":1}'],
      [413, `{"data":"${"x".repeat(300_000)}"}`],
    ] as const) {
      for (const at of [0, 10, 20]) {
        const body = join([...good.slice(0, at), bad, ...good.slice(at)]);
        const response = await publish(server.url, body, { "Content-Type": type });
        expect([bad.slice(0, 50), response.status]).toEqual([bad.slice(0, 50), status]);
        const { pointer } = (await response.json()) as { pointer?: string };
        if (status !== 404) expect(pointer?.split("/")[1]).toBe(String(at));
      }
    }
    for (const topic of [topics.whole, topics.small]) {
      const ends = await kafka.withAdmin((admin) => admin.fetchTopicOffsets(topic));
      expect(ends.map(({ high }) => high)).toEqual(["0", "0", "0", "0"]);
    }
  });

  test("D6 one bad event in a CloudEvents batch, and nothing is in the topic", async () => {
    const event = (id: string, type: string): object => ({
      specversion: "1.0",
      id,
      source: "/tests",
      type,
    });
    const batch = [event("1", "good"), event("2", "close"), event("3", "good")];
    const response = await fetch(`${server.url}/events?topic=${topics.whole}`, {
      method: "POST",
      headers: { "Content-Type": "application/cloudevents-batch+json" },
      body: JSON.stringify(batch),
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ pointer: "/1/type" });
    const ends = await kafka.withAdmin((admin) => admin.fetchTopicOffsets(topics.whole));
    expect(ends.map(({ high }) => high)).toEqual(["0", "0", "0", "0"]);
  });

  test("D7 a record larger than its topic takes is 413, and says whether its neighbours may be stored", async () => {
    const topic = topics.small;
    const large = { topic, key: "large", data: "x".repeat(30_000) };
    const alone = await publish(server.url, large);
    expect([alone.status, await alone.json()]).toMatchObject([
      413,
      { type: "/errors/too-large", mayBeStored: false },
    ]);
    const small = Array.from({ length: 8 }, (_, i) => ({ topic, key: `${i}`, data: i }));
    const among = await publish(server.url, [...small, large]);
    expect([among.status, await among.json()]).toMatchObject([413, { mayBeStored: true }]);
    const [place] = await places({ topic, key: "large", data: "after" });
    const values = (await read(topic)).map(({ value }) => String(value));
    expect(values).not.toContain(JSON.stringify(large.data));
    expect(values).toContain('"after"');
    expect(place?.topic).toBe(topic);
  });
});

const placeOf = ({ topic, partition, offset }: Place): string => `${topic}/${partition}/${offset}`;

/** What the SDK, an implementation that is not ours, reads in a record. */
function understood(record: KafkaRecord | undefined): CloudEventV1<unknown> {
  if (!record) throw new Error("No record lies at the place that was answered");
  const headers = Object.fromEntries(
    Object.keys(record.headers).map((name) => [name, headerValues(record, name).join()]),
  );
  const event = Kafka.toEvent({
    headers,
    key: record.key?.toString(),
    value: record.value,
    // What its types ask for beside what it reads.
    body: undefined,
    timestamp: undefined,
  } as unknown as Message);
  if (Array.isArray(event)) throw new Error("A batch");
  return event;
}

/** An event to compare: its attributes, and its data as bytes where it is not JSON. */
function shown(event: CloudEventV1<unknown>): unknown {
  const {
    data,
    data_base64: _,
    ...attributes
  } = JSON.parse(JSON.stringify(event)) as Record<string, unknown>;
  const isJson = attributes["datacontenttype"] === "application/json";
  const bytes =
    event.data instanceof Uint8Array || typeof event.data === "string"
      ? Buffer.from(event.data).toString("latin1")
      : data;
  return { ...attributes, data: isJson ? event.data : bytes };
}
