import { figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import type { Measurement } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import {
  measureFloor,
  measurePublished,
  measurePublishing,
  subscriberOptions,
  wordsFor,
} from "./window.ts";
import type { Crowd, Load, PublishedMeasurement } from "./window.ts";

/**
 * What one event to one subscriber costs Headgate, beside what the machine allows: the same subscribers
 * on Headgate and on the floor program, one after the other.
 *
 *   bun loadtest/fanout.ts [--subscribers 5000] [--rate 1000] [--bytes 100] [--seconds 20] [--sample 50]
 *     [--pace-ms 5] [--warmup 4] [--drain 2] [--publishing 5]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    ...ranges.lengths,
    subscribers: ranges.subscribers(5_000),
    rate: ranges.rate(1_000),
    bytes: ranges.bytes(100),
    seconds: { ...ranges.lengths.seconds, absent: 20 },
    sample: ranges.sample(50),
    paceMs: { absent: 5, least: 1, most: 999 },
    publishing: ranges.seconds(5),
  });
  await buildPrograms();
  console.log(
    `${settings.subscribers} subscribers, ${settings.rate} events/s of ${settings.bytes} bytes`,
  );
  const result = await measureFanOut(settings);
  print(result);
  await saveResult("fanout", { settings, ...result });
}

/** `publishing` is how many seconds are measured without a subscriber. */
export interface FanOutSettings extends Load, Crowd, ranges.Lengths {
  readonly publishing: number;
}

/** The same load on Headgate and on the floor program, summed up and as it was counted. */
export interface FanOut {
  readonly summaries: { readonly headgate: Figures; readonly floor: Figures };
  readonly headgate: PublishedMeasurement;
  readonly floor: Measurement;
  /** Cores that Headgate uses to take the same events without a subscriber. */
  readonly publishingCores: number;
}

/** Measures one after the other; the floor's ids are as long as Headgate's were. */
export async function measureFanOut(
  settings: FanOutSettings,
  variables: Record<string, string> = {},
): Promise<FanOut> {
  const { headgate, publishingCores } = await measureHeadgate(settings, variables);
  const floor = await measureFloor(settings, Math.round(headgate.subscribers.idBytes));
  const summaries = { headgate: figuresOf(headgate), floor: figuresOf(floor) };
  return { summaries, headgate, floor, publishingCores };
}

async function measureHeadgate(
  settings: FanOutSettings,
  variables: Record<string, string>,
): Promise<{ headgate: PublishedMeasurement; publishingCores: number }> {
  await using server = await startServer({ DATA_DIR: ":memory:", ...variables });
  const words = wordsFor(server, settings);
  const { publishing } = settings;
  const publishingCores = publishing > 0 ? await measurePublishing(server, words, publishing) : 0;
  const headgate = await measurePublished(server, subscriberOptions(settings), words);
  return { headgate, publishingCores };
}

function print({ summaries, headgate, publishingCores }: FanOut): void {
  const { floor } = summaries;
  const line = (name: string, show: (row: Figures) => string, of?: keyof Figures): string[] => {
    const ratio = of === undefined ? "" : (summaries.headgate[of] / floor[of]).toFixed(2);
    return [name, show(summaries.headgate), show(floor), ratio];
  };
  printTable([
    ["", "Headgate", "floor", "ratio"],
    line("deliveries/s", (row) => row.deliveriesPerSecond.toFixed(0), "deliveriesPerSecond"),
    line("cores of the server", (row) => row.cores.toFixed(2), "cores"),
    line("CPU µs per delivery", (row) => row.cpuUsPerDelivery.toFixed(3), "cpuUsPerDelivery"),
    line("CPU µs per write", (row) => row.cpuUsPerWrite.toFixed(2), "cpuUsPerWrite"),
    line("events per write", (row) => row.eventsPerWrite.toFixed(1), "eventsPerWrite"),
    line("delay p50", (row) => formatUs(row.p50Us), "p50Us"),
    line("delay p99", (row) => formatUs(row.p99Us), "p99Us"),
    line("gaps", (row) => String(row.gaps)),
    line("repeats", (row) => String(row.repeats)),
    line("streams lost", (row) => String(row.streamsLost)),
  ]);
  const { ratePerSecond, failed, lateMs } = headgate.publisher;
  console.log(
    `\nTaking the events without any subscriber costs Headgate ${publishingCores.toFixed(3)} of a core.\n` +
      `The publisher reached ${ratePerSecond.toFixed(0)} events/s, ${failed} failed;` +
      ` they left it ${lateMs.p99} ms late (p99).`,
  );
  warnOfOthers(Math.max(headgate.othersCores, floor.othersCores));
}

if (import.meta.main) await main();
