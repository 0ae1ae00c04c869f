import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bearer, type Grants, startJwtServer, statusOf } from "./support/callers.ts";
import { explained, offsetOf } from "./support/doors.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { encode, publisherFor } from "./support/publishing.ts";
import type { Settings } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(60_000);

type Header = readonly [name: string, value: Uint8Array];

const LARGE = encode("x".repeat(50_000));
/** Room for the targets of a record that is too large, but not for its value. */
const MAX_EVENT_BYTES = "20000";

const to = (kind: string, name: string): Header => [`headgate-${kind}`, encode(name)];

/** Records as anybody may write them to the topic, and who should hear of each. */
const RECORDS: readonly { headers: readonly Header[]; for: readonly string[] }[] = [
  { headers: [to("user", "ann")], for: ["ann"] },
  { headers: [to("channel", "ops")], for: ["ops"] },
  { headers: [to("client", "till-1")], for: ["till"] },
  { headers: [to("user", "ann"), to("channel", "ops")], for: ["ann", "ops"] },
  { headers: [to("user", "")], for: [] },
  { headers: [to("user", "*")], for: [] },
  { headers: [["headgate-user", new Uint8Array([0xff, 0xfe])]], for: [] },
  // Longer than what is kept of a record that is too large: it still names nobody who is here.
  { headers: [to("user", "u".repeat(5000))], for: [] },
  { headers: [to("channel", "c".repeat(10_000)), to("user", "ann")], for: ["ann"] },
  {
    headers: Array.from({ length: 500 }, (_, i) => to("user", i === 499 ? "ann" : `u${i}`)),
    for: ["ann"],
  },
  { headers: [], for: ["ann", "bob", "ops", "till"] },
];

/** Everybody's token and query. */
const CALLERS: readonly { name: string; headers: Settings; query: string }[] = [
  { name: "ann", headers: tokenOf("ann"), query: "" },
  { name: "bob", headers: tokenOf("bob", { channels: ["ops"] }), query: "" },
  { name: "ops", headers: tokenOf("carl", { channels: ["ops"] }), query: "channels=ops" },
  { name: "till", headers: tokenOf(undefined, { client: "till-1" }), query: "" },
];

function tokenOf(sub: string | undefined, grants: Grants = {}): Settings {
  return bearer({ subscribe: ["*"], ...grants }, { sub });
}

/** What each caller should hear of, as `offset type`. */
function expectedOf(name: string, type: string): string[] {
  const heard = RECORDS.flatMap((record, offset) => (record.for.includes(name) ? [offset] : []));
  return heard.map((offset) => `${offset} ${type}`);
}

const heardBy = (subscriber: TestSubscriber): string[] =>
  subscriber.records.map(({ id, event }) => `${offsetOf(id) - 1} ${event}`);

describe.skipIf(!kafkaAvailable())("records that others write", () => {
  beforeAll(() => sharedKafka());

  test.each([
    ["F11 a skipped record that is too large", LARGE, "skipped"],
    ["A14 a tombstone", null, "delete"],
    ["a record", encode("small"), "message"],
  ])(
    "%s reaches those whom its headers name, by every door, and nobody else",
    async (_, value, type) => {
      const kafka = await sharedKafka();
      const topic = uniqueTopic("doors");
      await kafka.createTopic(topic, 1);
      await using server = await startJwtServer({
        KAFKA_BROKERS: kafka.brokers.join(","),
        KAFKA_TOPICS: topic,
        SSE_HEARTBEAT_INTERVAL: "100",
        // Only what is large is too large, whatever its headers are.
        SSE_MAX_EVENT_BYTES: type === "skipped" ? MAX_EVENT_BYTES : "100000",
      });
      const open = (query: string, headers: Settings): Promise<TestSubscriber> =>
        TestSubscriber.live(server.url, `/events?${query}`, { headers });
      const live = await Promise.all(CALLERS.map(({ query, headers }) => open(query, headers)));
      const { publisher } = publisherFor(kafka);
      const key = encode("k");
      await publisher.publish(RECORDS.map(({ headers }) => ({ topic, key, value, headers })));
      await publisher.close();
      for (const [i, { name, query, headers }] of CALLERS.entries()) {
        const expected = expectedOf(name, type);
        const subscriber = live[i];
        await subscriber?.until(() => offsetOf(subscriber.lastEventId) === RECORDS.length);
        expect([name, subscriber && heardBy(subscriber)]).toEqual([name, expected]);
        for (const start of ["since=earliest", "since=earliest&envelope=true", "recent=1000"]) {
          await using replay = await open(`${query}&${start}`, headers);
          expect([name, start, heardBy(replay)]).toEqual([name, start, expected]);
        }
        const caller = { url: server.url, headers, query };
        expect(await explained(caller, "since=earliest")).toBe(expected.length);
        const recent = await fetch(`${server.url}/events/recent?${query}&limit=1000`, { headers });
        const { events } = (await recent.json()) as { events: { offset: number }[] };
        expect(events.map(({ offset }) => `${offset} ${type}`).toReversed()).toEqual(expected);
        const found: string[] = [];
        for (const offset of RECORDS.keys()) {
          const status = await statusOf(
            `${server.url}/events/${topic}/0/${offset}?${query}`,
            headers,
          );
          if (status === 200) found.push(`${offset} ${type}`);
        }
        expect([name, found]).toEqual([name, expected]);
        await subscriber?.cut();
      }
    },
  );
});
