import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { measurePublished, subscriberOptions, wordsFor } from "./window.ts";
import type { Crowd, Load } from "./window.ts";

/**
 * What SSE_FLUSH_INTERVAL trades: the delay and the CPU with 0, where what has arrived leaves with the
 * turn of the event loop, beside those with 10 ms, where it waits for more.
 *
 *   bun loadtest/flush.ts [--subscribers 1000] [--rate 1000] [--bytes 100] [--interval 10]
 *     [--seconds 10] [--warmup 4] [--drain 2] [--sample 20] [--pace-ms 5]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    ...ranges.lengths,
    subscribers: ranges.subscribers(1_000),
    rate: ranges.rate(1_000),
    bytes: ranges.bytes(100),
    interval: { absent: 10, least: 1, most: 1_000 },
    sample: ranges.sample(20),
    paceMs: { absent: 5, least: 1, most: 999 },
  });
  await buildPrograms();
  const rows = await measureFlush(settings);
  print(rows);
  await saveResult("flush", { settings, rows });
}

/** `interval` is the SSE_FLUSH_INTERVAL, in milliseconds, that is compared with 0. */
export interface FlushSettings extends Crowd, Load, ranges.Lengths {
  readonly interval: number;
}

/** What one SSE_FLUSH_INTERVAL comes to. */
export interface FlushRow extends Figures {
  readonly flushMs: number;
}

/** First without an interval, then with it. */
export async function measureFlush(settings: FlushSettings): Promise<[FlushRow, FlushRow]> {
  const at = async (flushMs: number): Promise<FlushRow> => {
    await using server = await startServer({
      DATA_DIR: ":memory:",
      SSE_FLUSH_INTERVAL: String(flushMs),
    });
    const words = wordsFor(server, settings);
    const measurement = await measurePublished(server, subscriberOptions(settings), words);
    return { flushMs, ...figuresOf(measurement) };
  };
  return [await at(0), await at(settings.interval)];
}

function print(rows: readonly FlushRow[]): void {
  const none = rows[0]?.cores ?? Number.NaN;
  printTable([
    [
      "SSE_FLUSH_INTERVAL",
      "p50",
      "p99",
      "cores",
      "ratio",
      "events/write",
      "deliveries/s",
      "faults",
    ],
    ...rows.map((row) => [
      `${row.flushMs} ms`,
      formatUs(row.p50Us),
      formatUs(row.p99Us),
      row.cores.toFixed(2),
      (row.cores / none).toFixed(2),
      row.eventsPerWrite.toFixed(1),
      row.deliveriesPerSecond.toFixed(0),
      String(faultsOf(row)),
    ]),
  ]);
  warnOfOthers(Math.max(...rows.map(({ othersCores }) => othersCores)));
}

if (import.meta.main) await main();
