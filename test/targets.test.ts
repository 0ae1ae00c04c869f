import { afterAll, beforeAll, expect, test } from "bun:test";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer();
});

afterAll(() => server[Symbol.asyncDispose]());

interface Published {
  readonly published: number;
  readonly receivers: number;
  readonly events: { topic: string; partition: number; offset: number }[];
}

async function send(to: object, data: string): Promise<Published> {
  const response = await publish(server.url, { data, to });
  expect(response.status).toBe(200);
  return (await response.json()) as Published;
}

const texts = (subscriber: TestSubscriber): string[] =>
  subscriber.records.map(({ data }) => JSON.parse(data) as string);

test("an event for a user, a client or a channel reaches them and nobody else, live", async () => {
  await using alice = await TestSubscriber.live(server.url, "/events?userId=alice");
  await using alice2 = await TestSubscriber.live(server.url, "/events?userId=alice&clientId=phone");
  await using bob = await TestSubscriber.live(server.url, "/events?userId=bob&channels=news,sport");
  await using nobody = await TestSubscriber.live(server.url);
  expect(await send({ user: "alice" }, "a")).toMatchObject({ published: 1, receivers: 2 });
  expect(await send({ client: "phone" }, "b")).toMatchObject({ receivers: 1 });
  expect(await send({ channel: "news" }, "c")).toMatchObject({ receivers: 1 });
  expect(await send({ user: "carol" }, "d")).toMatchObject({ receivers: 0 });
  expect(await send({ user: ["bob", "alice"], channel: "sport" }, "e")).toMatchObject({
    receivers: 3,
  });
  await publish(server.url, { data: "all" });
  for (const subscriber of [alice, alice2, bob, nobody]) {
    await subscriber.until(() => texts(subscriber).includes("all"));
  }
  expect(texts(alice)).toEqual(["a", "e", "all"]);
  expect(texts(alice2)).toEqual(["a", "b", "e", "all"]);
  expect(texts(bob)).toEqual(["c", "e", "all"]);
  expect(texts(nobody)).toEqual(["all"]);
});

test("targeted events reach their own in a replay, and nobody else by stream, recent or look-up", async () => {
  const { events } = await send({ user: "dave" }, "for dave");
  await send({ client: "tablet" }, "for tablet");
  await send({ channel: "club" }, "for the club");
  const offset = events[0]?.offset ?? 0;
  const replay = async (query: string): Promise<string[]> => {
    await using subscriber = await TestSubscriber.live(
      server.url,
      `/events?since=earliest&${query}`,
    );
    return texts(subscriber).filter((text) => text.startsWith("for "));
  };
  expect(await replay("userId=dave")).toEqual(["for dave"]);
  expect(await replay("clientId=tablet")).toEqual(["for tablet"]);
  expect(await replay("channels=club")).toEqual(["for the club"]);
  expect(await replay("userId=eve&channels=other")).toEqual([]);
  expect(await replay("userId=Dave")).toEqual([]);
  const recent = async (query: string): Promise<string> =>
    (await fetch(`${server.url}/events/recent?limit=1000${query}`)).text();
  expect(await recent("")).not.toInclude("for ");
  expect(await recent("&channels=club")).toInclude("for the club");
  expect(await recent("&channels=club")).not.toInclude("for dave");
  const lookUp = (at: number, query = ""): Promise<Response> =>
    fetch(`${server.url}/events/events/0/${at}${query}`);
  expect((await lookUp(offset)).status).toBe(404);
  expect((await lookUp(offset + 1)).status).toBe(404);
  expect((await lookUp(offset + 2)).status).toBe(404);
  expect((await lookUp(offset + 2, "?channels=club")).status).toBe(200);
});

test("recent=N counts only what the subscriber may see", async () => {
  await publish(server.url, { data: "seen" });
  for (let i = 0; i < 5; i += 1) await send({ user: "frank" }, `secret ${i}`);
  await using subscriber = await TestSubscriber.live(server.url, "/events?recent=1");
  expect(texts(subscriber)).toEqual(["seen"]);
});

test("headers of records written by others name targets just the same, and are never shown", async () => {
  await using grace = await TestSubscriber.live(server.url, "/events?userId=grace&envelope=true");
  await using others = await TestSubscriber.live(server.url, "/events?envelope=true");
  const header = (name: string, value: string): readonly [string, Uint8Array] => [
    name,
    Buffer.from(value),
  ];
  await server.headgate.publishRecords([
    {
      topic: "events",
      key: null,
      value: Buffer.from('"hers"'),
      headers: [
        header("headgate-user", "grace"),
        header("headgate-user", ""),
        header("trace", "t"),
      ],
    },
    { topic: "events", key: null, value: Buffer.from('"all"'), headers: [] },
  ]);
  const [first] = await grace.recordsUpTo(2);
  expect(JSON.parse(first?.data ?? "")).toMatchObject({ payload: "hers", headers: { trace: "t" } });
  expect((await others.recordsUpTo(1))[0]?.data).toInclude('"payload":"all"');
});

test("an event for a client with an empty name is nobody's, also for recent and look-ups", async () => {
  await server.headgate.publishRecords([
    {
      topic: "events",
      key: null,
      value: Buffer.from('"for nobody"'),
      headers: [["headgate-client", Buffer.from("")]],
    },
  ]);
  const recent = await (await fetch(`${server.url}/events/recent?limit=1000`)).text();
  expect(recent).not.toInclude("for nobody");
});
