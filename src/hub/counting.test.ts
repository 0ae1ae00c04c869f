import { beforeEach, expect, test } from "bun:test";
import { counts } from "../../test/support/counts.ts";
import { HubBench } from "../../test/support/hub-bench.ts";
import { createMetrics, type Metrics } from "../metrics.ts";

let metrics: Metrics;

beforeEach(() => {
  metrics = createMetrics();
});

/** Events on the topic `a` from offset 0, with these timestamps, or without one (-1). */
function append({ log }: HubBench, timestampsMs: readonly number[]): void {
  const common = { kind: "record", topic: "a", partition: 0, timestampType: "create" } as const;
  const value = Buffer.from("v");
  log.append(
    timestampsMs.map((timestampMs, offset) => ({
      ...common,
      offset,
      timestampMs,
      key: null,
      value,
      headers: [],
    })),
  );
}

/** How many latencies of at most `seconds` were observed; all of them without it. */
async function latencies(seconds: number | "+Inf" = "+Inf"): Promise<number> {
  const { values } = await metrics.deliveryLatency.get();
  return values.find(({ labels }) => labels.le === seconds)?.value ?? 0;
}

test("the latency is from a record's timestamp to the write, 0 where that lies ahead, and of none without one", async () => {
  using bench = new HubBench({ metrics }).attach();
  const peers = [bench.subscribe(), bench.subscribe()];
  for (const peer of peers) await peer.live();
  const nowMs = Date.now();
  append(bench, [nowMs - 7_000, nowMs + 60_000, -1, 0]);
  for (const peer of peers) await peer.until(() => peer.named("message").length === 4);
  // Once each, however many get it.
  expect(await latencies()).toBe(3);
  expect(await latencies(0.0005)).toBe(1);
  expect([await latencies(5), await latencies(10), await latencies(60)]).toEqual([1, 2, 2]);
  const sum = (await metrics.deliveryLatency.get()).values.find(({ metricName }) =>
    metricName?.endsWith("_sum"),
  );
  // A record of 1970 counts as one of an hour ago.
  expect(sum?.value).toBeWithin(3_607, 3_620);
});

test("what nobody gets, and what is replayed, has no latency", async () => {
  using bench = new HubBench({ metrics }).attach();
  const picky = bench.subscribe({ types: { exact: new Set(["none"]), prefixes: [] } });
  await picky.live();
  append(bench, [Date.now(), Date.now()]);
  const late = bench.subscribe({}, { since: "earliest" });
  await late.until(() => late.named("message").length === 2);
  expect(await latencies()).toBe(0);
});

test("of a turn with hundreds of events some are picked, from its beginning to its end", async () => {
  using bench = new HubBench({ metrics }).attach();
  const peer = bench.subscribe();
  await peer.live();
  const nowMs = Date.now();
  // The first half is old.
  append(
    bench,
    Array.from({ length: 500 }, (_, i) => (i < 250 ? nowMs - 20_000 : nowMs)),
  );
  await peer.until(() => peer.named("message").length === 500);
  expect(await latencies()).toBeWithin(50, 65);
  expect(await latencies(10)).toBeWithin(25, 33);
});

test("who comes with a position has resumed, or is counted under what became of it", async () => {
  using bench = new HubBench({ metrics }).attach();
  append(bench, [1, 1]);
  bench.end = 2;
  const come = async (lastEventId: string | undefined): Promise<void> => {
    await bench.subscribe({}, { lastEventId }).live();
  };
  await come(undefined);
  const first = bench.subscribe({}, { since: "earliest" });
  await first.live();
  await come(first.events.at(-1)?.id);
  await come("nonsense");
  await come("1~other~t~0");
  await come("1~a~t~9");
  expect(await counts(metrics.resumes)).toEqual({ resumed: 1, malformed: 1, ahead: 1 });
});

test("an open stream is one, and has lasted as long as it was open when it ends", async () => {
  using bench = new HubBench({ metrics });
  const { subscriber } = bench.subscribe();
  const open = async (): Promise<number | undefined> =>
    (await metrics.connectedClients.get()).values[0]?.value;
  // The dashboard's streams are counted beside those of the hub.
  metrics.connectedClients.inc();
  expect(await open()).toBe(2);
  if (subscriber) bench.hub.onGone(subscriber);
  expect(await open()).toBe(1);
  const { values } = await metrics.connectionDuration.get();
  expect(values.find(({ labels }) => labels.le === 1)?.value).toBe(1);
});
