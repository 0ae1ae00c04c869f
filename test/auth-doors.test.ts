import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { bearer, startJwtServer } from "./support/callers.ts";
import {
  type Caller,
  explained,
  listed,
  lookedUp,
  offsetOf,
  replayed,
  replayedLines,
  type Shown,
  shownBy,
} from "./support/doors.ts";
import { type LocalServer, publish } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { runs } from "./support/effort.ts";

setDefaultTimeout(60_000);

/** Names that differ as little as names can, and are of users, channels and clients alike. */
const NAMES = ["a", "A", "a*", "*", "b"];
const KEYS = ["k1", "k2", "k3"];
const TYPES = ["order", "order.paid"];

interface Targets {
  readonly user: readonly string[];
  readonly channel: readonly string[];
  readonly client: readonly string[];
}

interface Draft {
  readonly to: Targets;
  readonly key: string | undefined;
  readonly type: string | undefined;
  readonly isTombstone: boolean;
  /** Larger than one write of the server. */
  readonly isLarge: boolean;
  readonly hasIdempotencyKey: boolean;
}

interface Person {
  readonly user: string | undefined;
  readonly client: string | undefined;
  readonly channels: readonly string[];
  readonly keys: readonly string[];
  readonly types: readonly string[];
  readonly envelope: boolean;
}

const someOf = (names: readonly string[], maxLength: number): fc.Arbitrary<string[]> =>
  fc.uniqueArray(fc.constantFrom(...names), { maxLength });

const draft: fc.Arbitrary<Draft> = fc.record({
  to: fc.record({
    user: someOf(NAMES, 2),
    channel: someOf(NAMES, 2),
    client: someOf(["a", "A", "b"], 2),
  }),
  key: fc.option(fc.constantFrom(...KEYS), { nil: undefined }),
  type: fc.option(fc.constantFrom(...TYPES), { nil: undefined }),
  isTombstone: fc.boolean(),
  isLarge: fc.nat(9).map((n) => n === 0),
  hasIdempotencyKey: fc.boolean(),
});

const person: fc.Arbitrary<Person> = fc.record({
  user: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
  client: fc.option(fc.constantFrom("a", "A", "b", "c"), { nil: undefined }),
  // Few, so that several people share a subscription and are told apart by who they are alone.
  channels: fc.oneof(fc.constant([]), someOf(NAMES, 2)),
  keys: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, someOf(KEYS, 2)),
  types: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    someOf([...TYPES, "delete", "order*"], 2),
  ),
  envelope: fc.boolean(),
});

/** The model: an event as subscribers should see it, and who they should be. */
interface Event extends Shown {
  readonly to: Targets;
  readonly key: string | undefined;
  readonly type: string;
}

function isNamed({ to }: Event, { user, client, channels }: Person): boolean {
  if (to.user.length + to.channel.length + to.client.length === 0) return true;
  return (
    (user !== undefined && to.user.includes(user)) ||
    (client !== undefined && to.client.includes(client)) ||
    to.channel.some((channel) => channels.includes(channel))
  );
}

function isFor(event: Event, whom: Person): boolean {
  const isOfType = (type: string): boolean =>
    type === "order*" ? event.type.startsWith("order") : event.type === type;
  return (
    isNamed(event, whom) &&
    (whom.types.length === 0 || whom.types.some(isOfType)) &&
    (whom.keys.length === 0 || (event.key !== undefined && whom.keys.includes(event.key)))
  );
}

/** The newest `count` of these, or of the newest of each key. */
function newest(events: readonly Event[], count: number, per?: "key"): Event[] {
  const latest = new Map(events.map((event) => [event.key, event]));
  const chosen =
    per === "key"
      ? events.filter((event) => event.key !== undefined && latest.get(event.key) === event)
      : events;
  return chosen.slice(-count);
}

const shown = (events: readonly Event[]): Shown[] =>
  events.map(({ offset, text }) => ({ offset, text }));

function callerOf({ url }: LocalServer, whom: Person): Caller {
  const { user: sub, client, channels, keys, types } = whom;
  const headgate = {
    subscribe: ["events"],
    // The names themselves: "a*" and "*" would be patterns, which tokens for every channel are.
    channels: ["*"],
    ...(client !== undefined && { client }),
  };
  const lists = Object.entries({ channels, keys, types }).filter(([, list]) => list.length > 0);
  const query = lists.map(([name, list]) => `${name}=${list.join(",")}`).join("&");
  return { url, headers: bearer(headgate, { sub }), query: `${query}&_=` };
}

/** Publishes the next event; what it should look like, and how many of this instance it says it reached. */
async function send(
  { url }: LocalServer,
  offset: number,
  { to, key, type, isTombstone, isLarge, hasIdempotencyKey }: Draft,
): Promise<{ event: Event; receivers: number }> {
  const isDelete = isTombstone && key !== undefined;
  const data = isDelete ? null : `${offset}${isLarge ? "x".repeat(70_000) : ""}`;
  const named = Object.entries(to).filter(([, names]) => names.length > 0);
  const body = {
    ...(key !== undefined && { key }),
    ...(type !== undefined && { type }),
    ...(named.length > 0 && { to: Object.fromEntries(named) }),
    headers: { trace: "t" },
    data,
  };
  const headers = bearer({ publish: ["events"], channels: ["*"] }, { sub: "publisher" });
  const idempotency = hasIdempotencyKey ? { "Idempotency-Key": crypto.randomUUID() } : {};
  const response = await publish(url, body, { ...headers, ...idempotency });
  const { events, receivers } = (await response.json()) as {
    events: { offset: number }[];
    receivers: number;
  };
  expect(events).toMatchObject([{ offset }]);
  const seenType = isDelete ? "delete" : (type ?? "message");
  const text = `${seenType} ${JSON.stringify(data ?? key)}`;
  return { event: { offset, text, to, key, type: seenType }, receivers };
}

test("targeted events come through every door to those whom they name, and to nobody else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(draft, { minLength: 4, maxLength: 12 }),
      fc.array(person, { minLength: 3, maxLength: 7 }),
      fc.nat(12),
      fc.integer({ min: 1, max: 5 }),
      async (drafts, people, from, count) => {
        await using server = await startJwtServer({ SSE_HEARTBEAT_INTERVAL: "50" });
        const middle = Math.floor(drafts.length / 2);
        const events: Event[] = [];
        for (const one of drafts.slice(0, middle)) {
          events.push((await send(server, events.length, one)).event);
        }
        const streams: { subscriber: TestSubscriber; whom: Person }[] = [];
        for (const whom of people) {
          const { url, headers, query } = callerOf(server, whom);
          const target = `/events?${query}&envelope=${whom.envelope}`;
          streams.push({ subscriber: await TestSubscriber.live(url, target, { headers }), whom });
        }
        for (const one of drafts.slice(middle)) {
          const { event, receivers } = await send(server, events.length, one);
          events.push(event);
          expect(receivers).toBe(people.filter((whom) => isFor(event, whom)).length);
        }
        for (const { subscriber, whom } of streams) {
          // A heartbeat moves the id of whoever gets nothing.
          await subscriber.until(() => offsetOf(subscriber.lastEventId) === events.length);
          const expected = events.slice(middle).filter((event) => isFor(event, whom));
          expect(shownBy(subscriber)).toEqual(shown(expected));
        }
        const [{ subscriber } = { subscriber: undefined }] = streams;
        const base = (subscriber?.lastEventId ?? "").replace(/\d+$/, "");
        // All at once: replays share pages, which must not be another's.
        await Promise.all(
          people.map((whom) =>
            tryDoors(callerOf(server, whom), whom, { events, from, count, base }),
          ),
        );
        for (const stream of streams) await stream.subscriber.cut();
      },
    ),
    { numRuns: runs(10), includeErrorInReport: true },
  );
});

/** Compares what somebody gets by each door with the model. */
async function tryDoors(
  caller: Caller,
  whom: Person,
  { events, from, count, base }: { events: Event[]; from: number; count: number; base: string },
): Promise<void> {
  const own = events.filter((event) => isFor(event, whom));
  const resumed = own.filter(({ offset }) => offset >= Math.min(from, events.length));
  const id = `${base}${Math.min(from, events.length)}`;
  const [some, perKey] = [newest(own, count), newest(own, count, "key")];
  const recent = `recent=${count}`;

  expect(await replayed(caller, "since=earliest")).toEqual(shown(own));
  expect(await replayed(caller, "since=1h&envelope=true")).toEqual(shown(own));
  expect(await replayedLines(caller, "since=earliest")).toEqual(shown(own));
  expect(await replayed(caller, recent)).toEqual(shown(some));
  expect(await replayed(caller, `${recent}&envelope=true`)).toEqual(shown(some));
  expect(await replayedLines(caller, `${recent}&per=key`)).toEqual(shown(perKey));
  expect(await replayed(caller, `${recent}&per=key`)).toEqual(shown(perKey));
  expect(await replayed(caller, "envelope=false", id)).toEqual(shown(resumed));
  expect(await replayedLines(caller, `lastEventId=${id}`)).toEqual(shown(resumed));

  expect(await listed(caller, "limit=1000")).toEqual(shown(own));
  expect(await listed(caller, `limit=${count}`)).toEqual(shown(some));
  expect(await listed(caller, `limit=${count}&per=key`)).toEqual(shown(perKey));
  const joined = caller.query.split("&").find((part) => part.startsWith("channels=")) ?? "_=";
  const named = events.filter((event) => isNamed(event, whom));
  const asNamed = { ...caller, query: joined };
  expect(await lookedUp(asNamed, "events", events.length)).toEqual(shown(named));

  expect(await explained(caller, "since=earliest")).toBe(own.length);
  expect(await explained(caller, recent)).toBe(some.length);
  expect(await explained(caller, `${recent}&per=key`)).toBe(perKey.length);
  expect(await explained(caller, `lastEventId=${id}`)).toBe(resumed.length);
  expect(await explained(caller, "since=latest")).toBe(0);
}
