import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Aggregation, WindowFigures } from "../src/aggregate/aggregation.ts";
import { EventLog } from "../src/log/event-log.ts";
import { settled, startAggregator } from "./support/counting.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { publish, type ServerProcess, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

async function hourOf(url: string): Promise<WindowFigures> {
  const response = await fetch(`${url}/kafka/status`);
  // The cast holds: it is what the protocol says of the endpoint.
  const status = (await response.json()) as {
    consumer: { currentAggregation: Aggregation | null };
  };
  const hour = status.consumer.currentAggregation?.windows["1h"];
  if (!hour) throw new Error("The status has no aggregation");
  return hour;
}

/** Publishes arrays of events one after the other until it is told off; how many arrays were acknowledged. */
class Publishing {
  acknowledged = 0;
  readonly #ended: Promise<void>;
  #isEnding = false;

  constructor(url: string) {
    this.#ended = this.#run(url);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  async #run(url: string): Promise<void> {
    for (let n = 0; !this.#isEnding; n += 1) {
      const events = Array.from({ length: 20 }, (_, i) => ({
        type: `type-${(n + i) % 7}`,
        data: { n: (n * 20 + i) % 1_000 },
      }));
      // The server is killed while it answers: what it has stored of it shows in its log.
      const response = await publish(url, events).catch(() => undefined);
      if (response?.ok) this.acknowledged += 1;
    }
  }
}

test("a server that is killed again and again while events come has counted each once", async () => {
  using directory = temporaryDirectory();
  const start = (): Promise<ServerProcess> =>
    startServer({ DATA_DIR: directory.path, AGGREGATE_FIELDS: "n" });
  // Before anything is saved, about the first save, between two, and about the second.
  for (const runsMs of isQuick ? [150] : [0, 90, 160, 600, 1_150]) {
    await using server = await start();
    await using publishing = endingLast(new Publishing(server.url));
    await until(() => publishing.acknowledged > 5);
    await Bun.sleep(runsMs);
    server.kill("SIGKILL");
    await server.exited;
  }
  const told = await toldAtLast(start);
  const { figures, numbers } = await countedAnew(join(directory.path, "embedded.db"));
  expect(told.count).toBeGreaterThan(100);
  const { fields, ...counts } = told;
  const { fields: _, ...countsAnew } = figures;
  expect(counts).toEqual(countsAnew);
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (q: number): number =>
    sorted[Math.max(0, Math.ceil((q * 100 * sorted.length) / 100) - 1)] ?? 0;
  const n = fields["n"];
  expect(n).toMatchObject({ count: sorted.length, min: at(0), max: at(1) });
  expect(n?.mean).toBeCloseTo(sorted.reduce((sum, each) => sum + each, 0) / sorted.length, 6);
  for (const [quantile, q] of [
    [n?.p50, 0.5],
    [n?.p95, 0.95],
    [n?.p99, 0.99],
  ] as const) {
    expect(Math.abs((quantile ?? -1) - at(q))).toBeLessThanOrEqual(at(q) * 0.010_000_1);
  }
});

function endingLast(publishing: Publishing): Publishing & AsyncDisposable {
  return Object.assign(publishing, { [Symbol.asyncDispose]: () => publishing.end() });
}

/** What a server tells of the log that the killed ones left, once it has counted all. */
async function toldAtLast(start: () => Promise<ServerProcess>): Promise<WindowFigures> {
  await using server = await start();
  const published = await publish(server.url, { type: "last", data: { n: 0 } });
  expect(published.status).toBe(200);
  await until(async () => (await hourOf(server.url)).byType["last"] === 1);
  const told = await hourOf(server.url);
  server.kill("SIGTERM");
  await server.exited;
  return told;
}

/** What is counted of a log from its beginning, without what was stored; and all its numbers. */
async function countedAnew(path: string): Promise<{ figures: WindowFigures; numbers: number[] }> {
  using log = new EventLog({ path, durable: true });
  log.kept.write(log.kept.all().map(([name]) => [name, undefined]));
  using aggregator = startAggregator({ log, topics: ["events"], fields: ["n"] });
  await settled(log, aggregator);
  const numbers: number[] = [];
  for (let seq = log.baseSeq; seq < log.headSeq;) {
    const entries = log.after(seq, 1_000);
    for (const { value } of entries.filter(({ kind }) => kind === "record")) {
      numbers.push(Number(JSON.parse(Buffer.from(value ?? []).toString()).n));
    }
    seq = entries.at(-1)?.seq ?? log.headSeq;
  }
  return { figures: (await aggregator.current()).windows["1h"], numbers };
}
