import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { PublishedEvent } from "../src/publishing/published-event.ts";
import { type Line, LineReader } from "./support/line-reader.ts";
import { RawPeer } from "./support/peers.ts";
import { publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { runs } from "./support/effort.ts";

setDefaultTimeout(20_000);

/** An event as the model has it: all that decides who gets it, and whether it is the newest of its key. */
interface ModelEvent {
  readonly topic: "events" | "orders";
  readonly key: string | null;
  readonly type: string | undefined;
  readonly isTombstone: boolean;
  readonly to: { readonly user?: string; readonly channel?: string; readonly client?: string };
}

interface ModelSubscription {
  readonly topics: readonly string[] | undefined;
  readonly types: readonly string[] | undefined;
  readonly keys: readonly string[] | undefined;
  readonly channels: readonly string[] | undefined;
  readonly userId: string | undefined;
  readonly clientId: string | undefined;
}

const modelEvent: fc.Arbitrary<ModelEvent> = fc.record({
  topic: fc.constantFrom("events", "orders"),
  // The odd ones try to be equal: to another topic's key, to no key, to the name of a property.
  key: fc.constantFrom("k", "k", "l", "m", "", "orders~k", "undefined", "__proto__", null, null),
  type: fc.constantFrom(undefined, undefined, "a.x", "a.y", "b"),
  isTombstone: fc.boolean(),
  to: fc.constantFrom({}, {}, {}, { user: "ann" }, { channel: "news" }, { client: "till" }),
});

const maybe = <T>(...values: T[]): fc.Arbitrary<T | undefined> =>
  fc.oneof(fc.constant(undefined), fc.constantFrom(...values));

const modelSubscription: fc.Arbitrary<ModelSubscription> = fc.record({
  topics: maybe(["events"], ["orders"], ["events", "orders"]),
  types: maybe(["a.*"], ["message"], ["delete", "b"], ["*"]),
  keys: maybe(["k"], ["k", "l", "orders~k"]),
  channels: maybe(["news", "sport"], ["sport"]),
  userId: maybe("ann", "bob"),
  clientId: maybe("till", "other"),
});

function isSeen(event: ModelEvent, asked: ModelSubscription): boolean {
  const type = event.isTombstone && event.key !== null ? "delete" : (event.type ?? "message");
  const isType = (pattern: string): boolean =>
    pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
  const { user, channel, client } = event.to;
  const isForAll = Object.keys(event.to).length === 0;
  return (
    (asked.topics?.includes(event.topic) ?? true) &&
    (asked.types?.some(isType) ?? true) &&
    (asked.keys === undefined || (event.key !== null && asked.keys.includes(event.key))) &&
    (isForAll ||
      (user !== undefined && user === asked.userId) ||
      (client !== undefined && client === asked.clientId) ||
      (channel !== undefined && (asked.channels?.includes(channel) ?? false)))
  );
}

function queryOf(asked: ModelSubscription): string {
  const parts = Object.entries(asked).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined) return [];
    const items = (Array.isArray(value) ? value : [value]).map((item) =>
      encodeURIComponent(String(item)),
    );
    return [`${name}=${items.join(",")}`];
  });
  return parts.map((part) => `&${part}`).join("");
}

/** The events that are in the log, in its order, each under its place. */
class Model {
  readonly places: string[] = [];
  readonly events: ModelEvent[] = [];

  add(event: ModelEvent, place: string): void {
    this.events.push(event);
    this.places.push(place);
  }

  /** What a subscriber may see from the event at `index` on, up to `end`. */
  seen(asked: ModelSubscription, index = 0, end = this.events.length): string[] {
    return this.places.slice(0, end).filter((_, i) => i >= index && this.#isSeen(i, asked));
  }

  /** The newest of each key, of the newest `count` keys: indexes, in the log's order. */
  newest(asked: ModelSubscription, count: number, end = this.events.length): number[] {
    const keys = new Set<string>();
    const found: number[] = [];
    for (let i = end - 1; i >= 0 && keys.size < count; i -= 1) {
      const event = this.events[i];
      if (!event || event.key === null || !this.#isSeen(i, asked)) continue;
      const key = JSON.stringify([event.topic, event.key]);
      if (!keys.has(key)) found.unshift(i);
      keys.add(key);
    }
    return found;
  }

  #isSeen(index: number, asked: ModelSubscription): boolean {
    const event = this.events[index];
    return event !== undefined && isSeen(event, asked);
  }
}

const placeOf = ({ topic, offset }: Line): string => `${String(topic)}/${String(offset)}`;

function toPublish(
  { topic, key, type, isTombstone, to }: ModelEvent,
  data: number,
): PublishedEvent {
  return { topic, key, type, to, data: isTombstone && key !== null ? null : data };
}

test("recent=N with per=key begins with the newest of each key, and every id of it goes on as any other", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(modelEvent, { minLength: 1, maxLength: 30 }),
      fc.array(modelEvent, { minLength: 1, maxLength: 8 }),
      modelSubscription,
      fc.nat({ max: 7 }),
      fc.boolean(),
      fc.nat(),
      async (before, after, asked, count, isReset, which) => {
        await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
        const model = new Model();
        const send = async (events: readonly ModelEvent[]): Promise<void> => {
          const records = events.map((event, i) => toPublish(event, i));
          const { events: places } = await server.headgate.publish(records);
          for (const [i, event] of events.entries()) model.add(event, placeOf({ ...places[i] }));
        };
        await send(before);
        const query = `recent=${count}&per=key${queryOf(asked)}`;
        await using lines = await LineReader.live(
          server.url,
          `/events?${query}`,
          isReset ? { lastEventId: "malformed" } : {},
        );
        const picks = model.newest(asked, count);
        const replay = picks.map((i) => model.places[i] ?? "");
        expect(lines.records.map(placeOf)).toEqual(replay);
        expect(lines.named("live")).toMatchObject([{ data: { replayed: replay.length } }]);
        expect(lines.named("reset")).toHaveLength(isReset ? 1 : 0);

        await send(after);
        const live = model.seen(asked, before.length);
        const all = (await lines.recordsUpTo(replay.length + live.length)).map(placeOf);
        expect(all).toEqual([...replay, ...live]);

        const line = lines.lines[which % lines.lines.length] ?? {};
        const { id } = line;
        const from =
          line.event === undefined
            ? model.places.indexOf(placeOf(line)) + 1
            : line.event === "live"
              ? before.length
              : (picks[0] ?? before.length);
        if (id === undefined) return;
        await using resumed = await LineReader.live(server.url, `/events?${query}`, {
          lastEventId: id,
        });
        expect(resumed.named("reset")).toEqual([]);
        expect(resumed.records.map(placeOf)).toEqual(model.seen(asked, from));
      },
    ),
    { numRuns: runs(40) },
  );
});

test("/events/recent with per=key lists the newest of each key, newest first", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(modelEvent, { minLength: 1, maxLength: 40 }),
      modelSubscription,
      fc.integer({ min: 1, max: 7 }),
      async (events, wanted, limit) => {
        await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
        const asked = { ...wanted, userId: undefined, clientId: undefined };
        const model = new Model();
        const { events: places } = await server.headgate.publish(
          events.map((event, i) => toPublish(event, i)),
        );
        for (const [i, event] of events.entries()) model.add(event, placeOf({ ...places[i] }));
        const target = `/events/recent?per=key&limit=${limit}${queryOf(asked)}`;
        const answer = (await (await fetch(`${server.url}${target}`)).json()) as {
          events: Line[];
          truncated: boolean;
        };
        const expected = model.newest(asked, limit).map((i) => model.places[i] ?? "");
        expect(answer.events.map(placeOf)).toEqual(expected.toReversed());
        expect(answer.truncated).toBe(false);
      },
    ),
    { numRuns: runs(25) },
  );
});

test("/stream with per=key begins with the ten newest keys", async () => {
  await using server = await startLocalServer();
  await server.headgate.publish(
    Array.from({ length: 60 }, (_, i) => ({ key: `k${i % 12}`, data: i })),
  );
  await using subscriber = await TestSubscriber.live(server.url, "/stream?per=key");
  expect(subscriber.records.map(({ data }) => Number(data))).toEqual(
    Array.from({ length: 10 }, (_, i) => 50 + i),
  );
  expect(subscriber.named("live")[0]?.data).toBe('{"replayed":10}');
});

test.each([
  ["/events?per=key", "per"],
  ["/events?per=key&since=earliest", "per"],
  ["/stream?per=key&since=1h", "per"],
  ["/events/explain?per=key", "per"],
  ["/events?per=Key&recent=1", "per"],
  ["/events?per=&recent=1", "per"],
  ["/events?per=key&per=key&recent=1", "per"],
  ["/events?per=key&recent=1001", "recent"],
  ["/events/recent?per=topic", "per"],
])("%s is 400, and names %s", async (target, parameter) => {
  await using server = await startLocalServer();
  const response = await fetch(`${server.url}${target}`);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ type: "/errors/invalid-parameter", parameter });
});

test("an id that is honoured goes on behind it, whatever recent and per say", async () => {
  await using server = await startLocalServer();
  await server.headgate.publish(["k", "k", "l"].map((key) => ({ key, data: key })));
  await using first = await TestSubscriber.live(server.url, "/events?since=earliest");
  await using resumed = await TestSubscriber.live(server.url, "/events?recent=1&per=key", {
    lastEventId: first.records[0]?.id ?? "",
  });
  expect(resumed.records.map(({ data }) => data)).toEqual(['"k"', '"l"']);
});

test("a topic that is reset begins with the newest of its keys; the others go on behind the id", async () => {
  await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
  await server.headgate.publish(
    Array.from({ length: 12 }, (_, i) => ({
      topic: i % 2 ? "events" : "orders",
      key: `k${i % 3}`,
      data: i,
    })),
  );
  await using all = await TestSubscriber.live(server.url, "/events?since=earliest");
  const lastEventId = (all.records[3]?.id ?? "").replace(/(~orders)~[a-z0-9]+~/, "$1~other~");
  await using reset = await TestSubscriber.live(server.url, "/events?recent=2&per=key", {
    lastEventId,
  });
  expect(reset.named("reset")).toHaveLength(1);
  expect(JSON.parse(reset.named("reset")[0]?.data ?? "")).toMatchObject({
    reason: "recreated",
    topics: ["orders"],
  });
  // events (odd) from the id on; orders (even) only the last of the two newest keys.
  expect(reset.records.map(({ data }) => Number(data))).toEqual([5, 7, 8, 9, 10, 11]);
});

test("E2 what is published while the replay runs comes after it: nothing is lost, nothing comes twice", async () => {
  await using server = await startLocalServer();
  const COUNT = 200;
  const keyOf = (n: number): string => `k${(n * n) % 1009}`;
  const text = "x".repeat(3000);
  let sent = 0;
  const send = async (count: number): Promise<void> => {
    const from = sent;
    sent += count;
    const events = Array.from({ length: count }, (_, i) => ({
      key: keyOf(from + i),
      data: { n: from + i, text },
    }));
    expect((await publish(server.url, events)).status).toBe(200);
  };
  for (let i = 0; i < 10; i += 1) await send(300);
  const before = sent;
  const isDone = new AbortController();
  const sending = (async () => {
    while (!isDone.signal.aborted) await send(10);
  })();
  const target = `/events?recent=${COUNT}&per=key`;
  const quick = await TestSubscriber.live(server.url, target);
  const slow = await RawPeer.subscribe(server.port, target);
  slow.socket.pause();
  const late = await TestSubscriber.live(server.url, target);
  await quick.recordsUpTo(COUNT + 300);
  isDone.abort();
  await sending;
  const { connections } = await server.headgate.connections();
  expect(connections.filter(({ lag }) => lag > 0)).toHaveLength(1);
  slow.socket.resume();
  expect(sent).toBeGreaterThanOrEqual(before + 300);
  for (const stream of [quick, slow.stream, late]) {
    await stream.until(() => stream.lastEventId.endsWith(`~${sent}`));
    const seen = stream.records.map(({ data }) => (JSON.parse(data) as { n: number }).n);
    // The replay was chosen at some moment: then the newest of each key, and all that came since.
    const chosenAt = sent + COUNT - seen.length;
    expect(chosenAt).toBeWithin(before, sent + 1);
    const newest = new Map<string, number>();
    for (let n = chosenAt - 1; newest.size < COUNT; n -= 1) {
      if (!newest.has(keyOf(n))) newest.set(keyOf(n), n);
    }
    const since = Array.from({ length: sent - chosenAt }, (_, i) => chosenAt + i);
    expect(seen).toEqual([...[...newest.values()].toReversed(), ...since]);
  }
  for (const peer of [quick, slow, late]) await peer[Symbol.asyncDispose]();
});
