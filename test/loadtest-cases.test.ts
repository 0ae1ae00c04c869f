import { expect, test } from "bun:test";
import { z } from "zod";
import { startPublisher } from "../loadtest/processes.ts";
import { highestOf, searchHighest } from "../loadtest/search.ts";
import { parseHistogram, quantileBetween } from "../loadtest/server-metrics.ts";
import { spreadOver } from "../loadtest/spread.ts";

const NOTHING = { keys: 0, types: 0, channels: 0, users: 0, partitions: 0 };

test("events that go round keys are numbered without holes within each key", () => {
  const placeOf = spreadOver({ ...NOTHING, keys: 3 });
  expect([0, 1, 2, 3, 4].map(placeOf)).toEqual([
    { n: 0, address: { key: "k0" } },
    { n: 0, address: { key: "k1" } },
    { n: 0, address: { key: "k2" } },
    { n: 1, address: { key: "k0" } },
    { n: 1, address: { key: "k1" } },
  ]);
});

test("events that go round partitions keep one sequence, as everybody reads all of them", () => {
  const placeOf = spreadOver({ ...NOTHING, partitions: 2 });
  expect([0, 1, 2].map(placeOf)).toEqual([
    { n: 0, address: { partition: 0 } },
    { n: 1, address: { partition: 1 } },
    { n: 2, address: { partition: 0 } },
  ]);
});

test("events that should name two kinds are refused", () => {
  expect(() => spreadOver({ ...NOTHING, types: 2, users: 2 })).toThrow("types and users");
});

const PostedEvents = z.array(
  z.strictObject({
    to: z.strictObject({ channel: z.string() }),
    data: z.object({ t: z.number(), n: z.number(), p: z.string() }),
  }),
);

test("the publisher addresses its events, and numbers them for each address", async () => {
  const numbers = new Map<string, number[]>();
  const enough = Promise.withResolvers<void>();
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      for (const { to, data } of PostedEvents.parse(await request.json())) {
        numbers.set(to.channel, [...(numbers.get(to.channel) ?? []), data.n]);
        if (data.n > 20) enough.resolve();
      }
      return new Response("{}");
    },
  });
  const target = `http://127.0.0.1:${server.port}`;
  const publisher = startPublisher({ target, rate: 1_000, bytes: 10, channels: 4, seconds: 30 });
  await enough.promise;
  expect((await publisher.stop()).failed).toBe(0);
  expect([...numbers.keys()].toSorted()).toEqual(["c0", "c1", "c2", "c3"]);
  for (const seen of numbers.values()) {
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen.map((_, index) => index));
  }
});

const RANGE = { first: 1_000, least: 1, most: 100_000, bisections: 3 };

/** Looks for a limit that is known. */
async function search(limit: number, range = RANGE): Promise<number[]> {
  const tries = await searchHighest(range, (rate) =>
    Promise.resolve({ holds: rate <= limit, result: undefined }),
  );
  return [...tries.map(({ rate }) => rate), highestOf(tries)?.rate ?? 0];
}

test("the highest rate is looked for by doubling, then by halving what is left", async () => {
  expect(await search(5_100)).toEqual([1_000, 2_000, 4_000, 8_000, 6_000, 5_000, 5_500, 5_000]);
});

test("where the first rate is too much it is halved until one holds", async () => {
  expect(await search(300)).toEqual([1_000, 500, 250, 375, 313, 282, 282]);
});

test("a search ends where everything holds, and where nothing does", async () => {
  expect(await search(1e9, { ...RANGE, most: 4_000 })).toEqual([1_000, 2_000, 4_000, 4_000]);
  expect(await search(0, { ...RANGE, first: 4, least: 1 })).toEqual([4, 2, 1, 0]);
});

const METRICS = `# TYPE delay_seconds histogram
delay_seconds_bucket{le="0.001"} 10
delay_seconds_bucket{le="0.002"} 30
delay_seconds_bucket{le="+Inf"} 31
delay_seconds_sum 0.1
delay_seconds_count 31
`;

test("the median of what came between two readings of a histogram lies within its bucket", () => {
  const before = parseHistogram(
    METRICS.replace(" 30", " 10").replaceAll(" 31", " 11"),
    "delay_seconds",
  );
  const after = parseHistogram(METRICS, "delay_seconds");
  expect(quantileBetween(before, after, 0.5)).toBeCloseTo(0.0015);
  expect(quantileBetween([], after, 1)).toBe(0.002);
  expect(quantileBetween(after, after, 0.5)).toBeNaN();
});

test("a histogram that the metrics do not have is refused", () => {
  expect(() => parseHistogram(METRICS, "delay")).toThrow("no histogram delay");
});
