import { expect, setDefaultTimeout, test } from "bun:test";
import { runs } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { publish, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { type SeenEvent, TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(120_000);

interface Coordinates {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

const ROUNDS = runs(20);

test(`G2 after ${ROUNDS} times kill -9 under load each acknowledged event is there once, and each subscriber got it once`, async () => {
  using directory = temporaryDirectory();
  const settings = { DATA_DIR: directory.path, SSE_HEARTBEAT_INTERVAL: "100" };
  const acknowledged = new Map<string, Coordinates>();
  const sent = new Set<string>();
  // One that was there from the start and comes back each time, and one more in each round.
  const followers = [new Follower("/events?since=earliest&envelope=true")];
  for (let round = 0; round < ROUNDS; round += 1) {
    await using server = await startServer(settings);
    followers.push(new Follower("/events?envelope=true"));
    for (const follower of followers) await follower.connect(server.url);
    const dead = new AbortController();
    const posters = Array.from({ length: 4 }, async (_, poster) => {
      for (let i = 0; !dead.signal.aborted; i += 1) {
        const texts = [`${round}-${poster}-${i}-a`, `${round}-${poster}-${i}-b`];
        for (const text of texts) sent.add(text);
        const events = await post(server.url, texts);
        for (const [n, text] of texts.entries()) {
          const event = events?.[n];
          if (event) acknowledged.set(text, event);
        }
      }
    });
    // A random moment: after a random number of acknowledgements.
    const goal = acknowledged.size + 1 + Math.floor(Math.random() * 100);
    await until(() => acknowledged.size >= goal);
    server.kill("SIGKILL");
    await server.exited;
    dead.abort();
    await Promise.all(posters);
    for (const follower of followers) await follower.disconnect();
  }
  await using server = await startServer(settings);
  for (const follower of followers) await follower.connect(server.url);
  await using all = await TestSubscriber.live(server.url, "/events?since=earliest&envelope=true");
  const stored = all.records.map(parse);
  // Offsets without a hole, each event once, nothing that nobody sent.
  expect(stored.map(({ offset }) => offset)).toEqual(stored.map((_, i) => i));
  expect(new Set(stored.map(({ payload }) => payload)).size).toBe(stored.length);
  expect(stored.every(({ payload }) => sent.has(payload))).toBe(true);
  for (const [text, { topic, partition, offset }] of acknowledged) {
    expect(stored[offset]).toMatchObject({ topic, partition, offset, payload: text });
  }
  for (const follower of followers) {
    await follower.disconnect();
    const seen = follower.records.map(({ offset }) => offset);
    const from = seen[0] ?? stored.length;
    expect(seen).toEqual(stored.slice(from).map(({ offset }) => offset));
    expect(follower.resets).toEqual([]);
  }
  expect(followers[0]?.records).toHaveLength(stored.length);
});

async function post(
  url: string,
  texts: readonly string[],
): Promise<readonly Coordinates[] | undefined> {
  try {
    const response = await publish(
      url,
      texts.map((data) => ({ data })),
    );
    if (response.status !== 200) return undefined;
    return ((await response.json()) as { events: Coordinates[] }).events;
  } catch {
    // The server died under it: whether it is stored nobody has said.
    return undefined;
  }
}

function parse({ data }: SeenEvent): Coordinates & { readonly payload: string } {
  return JSON.parse(data) as Coordinates & { payload: string };
}

/** A subscriber that comes back with the last id that it saw. */
class Follower {
  readonly records: ReturnType<typeof parse>[] = [];
  readonly resets: string[] = [];
  readonly #target: string;
  #lastEventId = "";
  #subscriber: TestSubscriber | undefined;

  constructor(target: string) {
    this.#target = target;
  }

  async connect(url: string): Promise<void> {
    const lastEventId = this.#lastEventId;
    this.#subscriber = await TestSubscriber.live(url, this.#target, { lastEventId });
  }

  async disconnect(): Promise<void> {
    const subscriber = this.#subscriber;
    if (!subscriber) return;
    this.#subscriber = undefined;
    await subscriber.cut();
    this.#lastEventId = subscriber.lastEventId;
    this.records.push(...subscriber.records.map(parse));
    this.resets.push(...subscriber.named("reset").map(({ data }) => data));
  }
}
