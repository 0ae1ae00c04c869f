import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { measurePublished, subscriberOptions, wordsFor } from "./window.ts";
import type { Crowd } from "./window.ts";

/**
 * What gzip costs the server, and what it saves on the wire: the same events, varied JSON of some 250
 * bytes, to subscribers that all ask for it, beside those that do not; at a rate where each event is a
 * write, and at one where many leave together.
 *
 *   bun loadtest/compression.ts [--subscribers 5000] [--slow-rate 20] [--rate 1000] [--pace-ms 5]
 *     [--seconds 10] [--warmup 4] [--drain 2] [--sample 50]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    ...ranges.lengths,
    subscribers: ranges.subscribers(5_000),
    slowRate: ranges.rate(20),
    rate: ranges.rate(1_000),
    sample: ranges.sample(50),
    paceMs: { absent: 5, least: 1, most: 999 },
  });
  await buildPrograms();
  const rows = await measureCompression(settings);
  print(rows);
  await saveResult("compression", { settings, rows });
}

export interface CompressionSettings extends Crowd, ranges.Lengths {
  /** Events a second: few, so that each is a write of its own. */
  readonly slowRate: number;
  readonly rate: number;
  readonly paceMs: number;
}

/** What one rate comes to; ratios are gzip's figure divided by the plain one. */
export interface CompressionRow {
  readonly rate: number;
  /** Of bytes on the wire. */
  readonly bytesRatio: number;
  /** Of the server's CPU time for one event to one subscriber. */
  readonly cpuRatio: number;
  readonly plain: CompressionFigures;
  readonly gzip: CompressionFigures;
}

export interface CompressionFigures extends Figures {
  /** Answers that were no gzip, or ended without a right trailer. Must be 0, always. */
  readonly gzipErrors: number;
}

/** Measures each rate plain, then with gzip, each time with a server of its own. */
export async function measureCompression(settings: CompressionSettings): Promise<CompressionRow[]> {
  const rows: CompressionRow[] = [];
  for (const rate of [settings.slowRate, settings.rate]) {
    const plain = await measureSide(settings, rate, 0);
    const gzip = await measureSide(settings, rate, 1);
    rows.push({
      rate,
      bytesRatio: gzip.bytesPerEvent / plain.bytesPerEvent,
      cpuRatio: gzip.cpuUsPerDelivery / plain.cpuUsPerDelivery,
      plain,
      gzip,
    });
  }
  return rows;
}

async function measureSide(
  settings: CompressionSettings,
  rate: number,
  gzip: 0 | 1,
): Promise<CompressionFigures> {
  await using server = await startServer({ DATA_DIR: ":memory:" });
  const { paceMs } = settings;
  const words = { ...wordsFor(server, { rate, bytes: 0, paceMs }), varied: 1 };
  const options = { ...subscriberOptions(settings), gzip };
  const measurement = await measurePublished(server, options, words);
  return { ...figuresOf(measurement), gzipErrors: measurement.subscribers.gzipErrors };
}

function print(rows: readonly CompressionRow[]): void {
  printTable([
    [
      "",
      "bytes/event",
      "ratio",
      "CPU µs",
      "ratio",
      "events/write",
      "p50",
      "p99",
      "cores",
      "faults",
    ],
    ...rows.flatMap(({ rate, bytesRatio, cpuRatio, plain, gzip }) => [
      line(`${rate}/s plain`, plain),
      line(`${rate}/s gzip`, gzip, bytesRatio, cpuRatio),
    ]),
  ]);
  console.log("\nBytes are those on the wire, CPU is the server's per event and subscriber.");
  const sides = rows.flatMap(({ plain, gzip }) => [plain, gzip]);
  warnOfOthers(Math.max(...sides.map(({ othersCores }) => othersCores)));
}

function line(
  name: string,
  side: CompressionFigures,
  bytesRatio?: number,
  cpuRatio?: number,
): string[] {
  return [
    name,
    side.bytesPerEvent.toFixed(0),
    bytesRatio?.toFixed(2) ?? "",
    side.cpuUsPerDelivery.toFixed(2),
    cpuRatio?.toFixed(2) ?? "",
    side.eventsPerWrite.toFixed(1),
    formatUs(side.p50Us),
    formatUs(side.p99Us),
    side.cores.toFixed(2),
    String(faultsOf(side) + side.gzipErrors),
  ];
}

if (import.meta.main) await main();
