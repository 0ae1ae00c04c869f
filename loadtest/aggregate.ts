import { Aggregator } from "../src/aggregate/aggregator.ts";
import { FairTurns } from "../src/hub/fair-turns.ts";
import type { RecordEntry } from "../src/log/entry.ts";
import { EventLog } from "../src/log/event-log.ts";
import { createLogger } from "../src/logger.ts";
import { readNumbers } from "./options.ts";
import { printTable, saveResult } from "./report.ts";

/**
 * How many records the aggregator counts in a second of CPU time, its saves included, beside what
 * it takes to read them from the log's memory without counting; and how long an answer takes
 * then. Each is done several times, in turns, and the median is told.
 *
 *   bun loadtest/aggregate.ts [--records 500000] [--rounds 3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    records: { absent: 500_000, least: 1_000, most: 2_000_000 },
    rounds: { absent: 3, least: 1, most: 100 },
  });
  const kinds = await measureAggregate(settings);
  print(kinds, settings.records);
  await saveResult("aggregate", { settings, kinds });
}

/** How many records are counted, and how often that is done. */
export interface AggregateSettings {
  readonly records: number;
  readonly rounds: number;
}

/** Counts in this very process. */
export async function measureAggregate(settings: AggregateSettings): Promise<CountingCost[]> {
  const kinds: CountingCost[] = [];
  for (const shape of SHAPES) kinds.push(...(await measureShape(shape, settings)));
  return kinds;
}

/** Records that are alike, and the ways in which they are counted. */
interface Shape {
  readonly name: string;
  readonly types: number;
  /** How far back timestamps reach. */
  readonly spreadMs: number;
  readonly fields: readonly (readonly string[])[];
}

const FIELDS = ["payload.times", "payload.bytes"];

const SHAPES: readonly Shape[] = [
  { name: "20 types", types: 20, spreadMs: 0, fields: [[], FIELDS] },
  { name: "10,000 types", types: 10_000, spreadMs: 0, fields: [[]] },
  { name: "10,000 types over an hour", types: 10_000, spreadMs: 3_500_000, fields: [[], FIELDS] },
];

/** What one way to count one shape takes. */
export interface CountingCost {
  readonly name: string;
  /** Microseconds of CPU a record. */
  readonly readingUs: number;
  readonly countingUs: number;
  /** Milliseconds for one answer at the end. */
  readonly answerMs: number;
}

async function measureShape(
  shape: Shape,
  { records, rounds }: AggregateSettings,
): Promise<CountingCost[]> {
  using log = makeLog(shape, records);
  const ways = shape.fields.map((fields) => ({ fields, runs: [] as Run[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { fields, runs } of ways) runs.push(await measureOnce(log, fields, records));
  }
  return ways.map(({ fields, runs }) => ({
    name: fields.length > 0 ? `${shape.name}, ${fields.length} fields` : shape.name,
    readingUs: medianOf(runs.map(({ readingUs }) => readingUs)),
    countingUs: medianOf(runs.map(({ countingUs }) => countingUs)),
    answerMs: medianOf(runs.map(({ answerMs }) => answerMs)),
  }));
}

type Run = Omit<CountingCost, "name">;

/** In memory, and all of it where the newest entries are: as an aggregator finds them that keeps up. */
function makeLog({ types, spreadMs }: Shape, records: number): EventLog {
  const log = new EventLog({ path: ":memory:", durable: false, tailBytes: 2 ** 40 });
  log.append([{ kind: "topic", topic: "events", tag: "a", offsets: [0] }]);
  for (let offset = 0; offset < records; offset += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, records - offset) }, (_, i) =>
      makeRecord(offset + i, types, spreadMs),
    );
    log.append(batch);
  }
  return log;
}

const BATCH = 500;

function makeRecord(offset: number, types: number, spreadMs: number): RecordEntry {
  // Spread without a generator of random numbers: the same in each run.
  const mixed = (offset * 2_654_435_761) % 2 ** 32;
  const payload = { id: offset, times: (mixed % 10_000) / 7, bytes: mixed % 65_536 };
  return {
    kind: "record",
    topic: "events",
    partition: 0,
    offset,
    timestampMs: Date.now() - Math.floor((mixed / 2 ** 32) * spreadMs),
    timestampType: "create",
    key: Buffer.from(`key-${mixed % 1_000}`),
    value: Buffer.from(JSON.stringify({ at: "2026-01-01T00:00:00Z", name: "a name", payload })),
    headers: [["type", Buffer.from(`order.event-${mixed % types}`)]],
  };
}

async function measureOnce(
  log: EventLog,
  fields: readonly string[],
  records: number,
): Promise<Run> {
  const reading = cpuUs(() => readAll(log));
  log.kept.write(log.kept.all().map(([name]) => [name, undefined]));
  const before = process.cpuUsage();
  using turns = new FairTurns();
  using aggregator = new Aggregator({
    log,
    turns,
    topics: ["events"],
    fields,
    dashboardTopic: undefined,
    logger: createLogger("error"),
  });
  while (aggregator.lag() > 0) await Bun.sleep(20);
  const { user, system } = process.cpuUsage(before);
  const startedMs = performance.now();
  const { count } = (await aggregator.current()).windows["1h"];
  const answerMs = performance.now() - startedMs;
  if (count !== records) throw new Error(`Of ${records} records ${count} were counted`);
  return { readingUs: reading / records, countingUs: (user + system) / records, answerMs };
}

function readAll(log: EventLog): void {
  for (let seq = log.baseSeq; seq < log.headSeq;) {
    seq = log.after(seq, BATCH).at(-1)?.seq ?? log.headSeq;
  }
}

function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function print(kinds: readonly CountingCost[], records: number): void {
  console.log(`${records} records; of one core:\n`);
  printTable([
    ["", "records/s", "us/record", "reading alone", "times that", "an answer"],
    ...kinds.map(({ name, readingUs, countingUs, answerMs }) => [
      name,
      Math.round(1e6 / countingUs).toString(),
      countingUs.toFixed(2),
      `${readingUs.toFixed(3)} us`,
      (countingUs / readingUs).toFixed(0),
      `${answerMs.toFixed(1)} ms`,
    ]),
  ]);
}

if (import.meta.main) await main();
