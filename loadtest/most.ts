import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import type { Measurement } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult } from "./report.ts";
import { highestOf, searchHighest } from "./search.ts";
import type { Try } from "./search.ts";
import { measureFloor, measurePublished, subscriberOptions, wordsFor } from "./window.ts";
import type { Crowd, Load } from "./window.ts";

/**
 * The most deliveries a second that one core sustains before an event takes a second (p99): the rate
 * is doubled until it is too much, then halved in between. First Headgate, then the floor program,
 * whose ids are as long.
 *
 *   bun loadtest/most.ts [--subscribers 5000] [--first 1000] [--bisections 3] [--bytes 100]
 *     [--seconds 6] [--warmup 4] [--drain 2] [--sample 50] [--pace-ms 5] [--limit-ms 1000]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    ...ranges.lengths,
    seconds: { ...ranges.lengths.seconds, absent: 6 },
    subscribers: ranges.subscribers(5_000),
    first: ranges.rate(1_000),
    bisections: { absent: 3, least: 0, most: 10 },
    bytes: ranges.bytes(100),
    sample: ranges.sample(50),
    paceMs: { absent: 5, least: 1, most: 999 },
    limitMs: { absent: 1_000, least: 1, most: 60_000 },
  });
  await buildPrograms();
  const result = await measureMost(settings);
  print(result, settings);
  await saveResult("most", { settings, ...result });
}

/** `first` is the rate to begin with, `limitMs` the p99 that no step may pass. */
export interface MostSettings extends Crowd, Omit<Load, "rate">, ranges.Lengths {
  readonly first: number;
  readonly bisections: number;
  readonly limitMs: number;
}

/** One rate that was tried. */
export interface Step extends Figures {
  readonly eventsPerSecond: number;
  /** Near 1 the subscribers program itself may be what was too slow. */
  readonly generatorCores: number;
}

/** All steps, in the order in which they were tried. */
export interface Most {
  readonly headgate: readonly Try<Step>[];
  readonly floor: readonly Try<Step>[];
}

/** Each step has a server of its own: what a step too fast left behind is no load for the next. */
export async function measureMost(settings: MostSettings): Promise<Most> {
  const headgate = await search(settings, (rate) => measureHeadgate({ ...settings, rate }));
  const idBytes = Math.round(headgate[0]?.result.idBytes ?? 0);
  const floor = await search(settings, (rate) => measureFloor({ ...settings, rate }, idBytes));
  return { headgate, floor };
}

/** Beyond this neither the publisher nor the floor program can be asked for. */
const MOST_EVENTS_PER_SECOND = 200_000;

function search(
  settings: MostSettings,
  measureAt: (rate: number) => Promise<Measurement>,
): Promise<readonly Try<Step>[]> {
  const { first, bisections } = settings;
  const range = { first, least: 1, most: MOST_EVENTS_PER_SECOND, bisections };
  return searchHighest(range, async (rate) => {
    const measurement = await measureAt(rate);
    const { measured, sampled } = measurement.subscribers;
    const result = {
      ...figuresOf(measurement),
      eventsPerSecond: measured.events / sampled / measured.seconds,
      generatorCores: measured.cpuSeconds / measured.seconds,
    };
    return { holds: isSustained(rate, result, settings), result };
  });
}

/** A window cuts writes under way, so a little less than all is all. */
const SUSTAINED_SHARE = 0.97;

function isSustained(rate: number, step: Step, { limitMs }: MostSettings): boolean {
  const delivered = step.eventsPerSecond >= rate * SUSTAINED_SHARE;
  return delivered && step.p99Us <= limitMs * 1_000 && faultsOf(step) === 0;
}

async function measureHeadgate(settings: MostSettings & Load): Promise<Measurement> {
  await using server = await startServer({ DATA_DIR: ":memory:" });
  return await measurePublished(server, subscriberOptions(settings), wordsFor(server, settings));
}

function print({ headgate, floor }: Most, { subscribers, limitMs }: MostSettings): void {
  const rows = (name: string, tries: readonly Try<Step>[]): string[][] => {
    const best = highestOf(tries);
    return tries.map((each) => stepCells(name, each, each === best));
  };
  console.log(`${subscribers} subscribers; p99 at most ${limitMs} ms, nothing lost:\n`);
  printTable([
    [
      "",
      "events/s",
      "came",
      "deliveries/s",
      "cores",
      "generator's",
      "p50",
      "p99",
      "faults",
      "holds",
    ],
    ...rows("Headgate", headgate),
    ...rows("floor", floor),
  ]);
  const [ours, theirs] = [highestOf(headgate), highestOf(floor)];
  if (!ours || !theirs) return;
  const ratio = ours.result.deliveriesPerSecond / theirs.result.deliveriesPerSecond;
  console.log(`\nMost: ${millions(ours)} to the floor's ${millions(theirs)}: ${ratio.toFixed(2)}`);
  const tooMuch = [...headgate, ...floor].filter(({ holds }) => !holds);
  if (tooMuch.every(({ result }) => result.cores > FULL_CORE)) return;
  console.log(
    "Some step was too much while its server's core was not full: there the publisher, the" +
      " subscribers or the memory's speed was the limit.",
  );
}

const FULL_CORE = 0.9;

function stepCells(name: string, { rate, holds, result }: Try<Step>, isBest: boolean): string[] {
  return [
    name,
    String(rate),
    result.eventsPerSecond.toFixed(0),
    result.deliveriesPerSecond.toFixed(0),
    result.cores.toFixed(2),
    result.generatorCores.toFixed(2),
    formatUs(result.p50Us),
    formatUs(result.p99Us),
    String(faultsOf(result)),
    isBest ? "most" : holds ? "yes" : "no",
  ];
}

function millions({ result }: Try<Step>): string {
  return `${(result.deliveriesPerSecond / 1e6).toFixed(2)} M deliveries/s`;
}

if (import.meta.main) await main();
