import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CloudEvent, type CloudEventV1, HTTP, Kafka, type Message } from "cloudevents";
import fc from "fast-check";
import type { Coordinates, OutgoingRecord } from "../src/log/publisher.ts";
import { type RecordServer, startRecordServer } from "./support/record-server.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { runs } from "./support/effort.ts";

/** Sends a message to where publishes are read. */
function post(url: string, { headers, body }: Message): Promise<Response> {
  return fetch(url, {
    method: "POST",
    // The SDK's values are what a header may be: strings, or what becomes one.
    headers: headers as Record<string, string>,
    body: Buffer.from((body ?? "") as string | Uint8Array),
  });
}

describe("the CloudEvents SDK", () => {
  let server: RecordServer;

  beforeAll(() => {
    server = startRecordServer();
  });

  afterAll(() => server[Symbol.asyncDispose]());

  /** What a message is read as. */
  async function recordsOf(message: Message): Promise<readonly OutgoingRecord[]> {
    await post(server.url, message);
    const last = server.last();
    if (last instanceof Error) throw last;
    return last;
  }

  /** What the SDK, an implementation that is not ours, reads in a record. */
  function understood(record: OutgoingRecord | undefined): CloudEventV1<unknown> {
    const headers = Object.fromEntries(
      record?.headers.map(([name, value]) => [name, Buffer.from(value).toString()]) ?? [],
    );
    const event = Kafka.toEvent({
      headers,
      key: record?.key ? Buffer.from(record.key).toString() : undefined,
      value: Buffer.from(record?.value ?? []),
      // What its types ask for beside what it reads.
      body: undefined,
      timestamp: undefined,
    } as unknown as Message);
    if (Array.isArray(event)) throw new Error("A batch");
    return event;
  }

  const FULL = new CloudEvent({
    id: "A234-1234",
    source: "https://example.com/context",
    type: "com.example.happened",
    subject: "subject",
    time: "2026-11-21T14:00:00.000Z",
    dataschema: "https://example.com/schema",
    datacontenttype: "application/json",
    partitionkey: "key-1",
    comexampleextension: "value",
    data: { text: "é\u2028\n", nested: [1.5, null, true] },
  });

  test.each([
    ["binary", (event: CloudEvent<unknown>) => HTTP.binary(event)],
    ["structured", (event: CloudEvent<unknown>) => HTTP.structured(event)],
    [
      "batched",
      (event: CloudEvent<unknown>): Message => ({
        headers: { "Content-Type": "application/cloudevents-batch+json; charset=UTF-8" },
        body: `[${event.toString()}]`,
      }),
    ],
  ])(
    "sends an event in %s mode, and reads the same one in the record",
    async (_mode, toMessage) => {
      const [record] = await recordsOf(toMessage(FULL));
      const { datacontenttype, ...event } = understood(record);
      const { datacontenttype: sent, ...expected } = FULL;
      expect(datacontenttype).toBe(sent);
      expect(JSON.parse(JSON.stringify(event))).toEqual(JSON.parse(JSON.stringify(expected)));
    },
  );

  test("reads the event that it would have written itself", async () => {
    const [record] = await recordsOf(HTTP.structured(FULL));
    const own = Kafka.binary(FULL);
    // The SDK says the content type twice; the binding says it once [Kafka protocol binding §3.2.1].
    const defined = Object.entries(own.headers).filter(
      ([name, value]) => value !== undefined && name !== "ce_datacontenttype",
    );
    const headers = new Map(
      record?.headers.map(([n, value]) => [n, Buffer.from(value).toString()]),
    );
    expect(headers).toEqual(new Map(defined.map(([name, value]) => [name, String(value)])));
    expect(Buffer.from(record?.key ?? []).toString()).toBe(String(own.key));
    expect(JSON.parse(Buffer.from(record?.value ?? []).toString())).toEqual(FULL.data);
  });

  test("sends bytes, which come back", async () => {
    const bytes = Uint8Array.of(0, 1, 127, 128, 255);
    const event = FULL.cloneWith({ datacontenttype: "application/octet-stream", data: bytes });
    for (const message of [HTTP.binary(event), HTTP.structured(event)]) {
      const [record] = await recordsOf(message);
      expect(Buffer.from(record?.value ?? [])).toEqual(Buffer.from(bytes));
      expect(understood(record).datacontenttype).toBe("application/octet-stream");
    }
  });

  test("reads any event that was sent structured as it was", async () => {
    const text = fc
      .string({ unit: "binary", minLength: 1 })
      .filter((any) => !/[\p{Cc}\p{Noncharacter_Code_Point}]/u.test(any));
    const attributes = fc.record({
      id: text,
      source: fc.webUrl(),
      type: text.map((any) => `t.${any}`),
      subject: text,
      partitionkey: text,
      extension: fc.oneof(text, fc.boolean(), fc.integer()),
      data: fc.dictionary(fc.string(), fc.jsonValue()),
    });
    await fc.assert(
      fc.asyncProperty(attributes, async (given) => {
        const event = new CloudEvent({ ...given, specversion: "1.0" });
        const [record] = await recordsOf(HTTP.structured(event));
        const { id, source, type, subject, partitionkey, extension, data } = understood(record);
        expect({ id, source, type, subject, partitionkey, extension, data }).toEqual({
          ...given,
          // Headers are text: the canonical string.
          extension: String(given.extension),
          data: JSON.parse(JSON.stringify(given.data)),
        });
      }),
      { numRuns: runs(50) },
    );
  });
});

describe("a CloudEvent that is published", () => {
  let server: LocalServer;

  beforeAll(async () => {
    server = await startLocalServer();
  });

  afterAll(() => server[Symbol.asyncDispose]());

  const event = new CloudEvent({
    id: "1",
    source: "/tests",
    type: "order.created",
    partitionkey: "o-1",
    data: { total: 12.5 },
  });

  test.each([
    ["binary", HTTP.binary(event)],
    ["structured", HTTP.structured(event)],
  ])("in %s mode is an event of its type, with its data alone", async (_mode, message) => {
    await using subscriber = await TestSubscriber.live(server.url, "/events?types=order.*");
    const response = await post(`${server.url}/events`, message);
    expect(response.status).toBe(200);
    expect((await subscriber.recordsUpTo(1))[0]).toMatchObject({
      event: "order.created",
      data: '{"total":12.5}',
    });
    const { events } = (await response.json()) as { events: Coordinates[] };
    const place = `${events[0]?.topic}/${events[0]?.partition}/${events[0]?.offset}`;
    const found = await fetch(`${server.url}/events/${place}`);
    expect(await found.json()).toMatchObject({
      key: "o-1",
      payload: { total: 12.5 },
      headers: { ce_id: "1", ce_source: "/tests", ce_partitionkey: "o-1" },
    });
  });

  test.each([
    [400, { "ce-id": "%C0%A0" }],
    [400, { "ce-specversion": "2.0" }],
    [422, { "ce-type": "heartbeat" }],
    [422, { "ce-type": "a%0Adata:%20evil" }],
  ])("D5 is %d with %j", async (status, headers) => {
    const message = HTTP.binary(event);
    const answer = await post(`${server.url}/events`, {
      ...message,
      headers: { ...message.headers, ...headers },
    });
    expect(answer.status).toBe(status);
  });
});
