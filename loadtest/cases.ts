import { CASES } from "./case-table.ts";
import type { CaseSettings, Side, Sides } from "./case-table.ts";
import { faultsOf } from "./figures.ts";
import { readOptions } from "./options.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";

/**
 * What delivering costs in several shapes of subscriptions and events, each beside a baseline that is
 * measured just before or after it: the ratio is what counts.
 *
 *   bun loadtest/cases.ts [--only "different"] [--subscribers 5000] [--many 10000] [--group 5]
 *     [--targeted 19000] [--large-subscribers 500] [--large-bytes 100000] [--large-rate 5]
 *     [--rate 1000] [--slow-rate 20] [--spread-rate 5000] [--bytes 100]
 *     [--seconds 10] [--warmup 4] [--drain 2] [--publishing 3]
 *
 * `--only` takes the cases whose names hold that text.
 */
async function main(): Promise<void> {
  const { numbers: settings, texts } = readOptions(
    {
      ...ranges.lengths,
      subscribers: ranges.subscribers(5_000),
      many: ranges.subscribers(10_000),
      group: { absent: 5, least: 1, most: 100 },
      // With 20,000 open files a server keeps 256 for itself.
      targeted: ranges.subscribers(19_000),
      largeSubscribers: ranges.subscribers(500),
      largeBytes: ranges.bytes(100_000),
      largeRate: ranges.rate(5),
      rate: ranges.rate(1_000),
      slowRate: ranges.rate(20),
      spreadRate: ranges.rate(5_000),
      bytes: ranges.bytes(100),
      publishing: ranges.seconds(3),
    },
    ["only"],
  );
  await buildPrograms();
  const rows = await measureCases(settings, texts.only);
  print(rows);
  await saveResult("cases", { settings, rows });
}

/** What a case came to. */
export interface CaseRow extends Sides {
  readonly name: string;
  readonly beside: string;
  /** Of the CPU per delivery. */
  readonly ratio: number;
}

/** Measures the cases whose names hold `only`, one after the other. */
export async function measureCases(settings: CaseSettings, only = ""): Promise<CaseRow[]> {
  const rows: CaseRow[] = [];
  for (const { name, beside, measure } of CASES.filter((each) => each.name.includes(only))) {
    const sides = await measure(settings);
    rows.push({ name, beside, ...sides, ratio: sides.ours.cpuUs / sides.baseline.cpuUs });
  }
  return rows;
}

function print(rows: readonly CaseRow[]): void {
  printTable([
    ["", "CPU µs", "ratio", "but publishing", "p50", "p99", "deliveries/s", "faults"],
    ...rows.flatMap(({ name, beside, ours, baseline, ratio }) => [
      [name, ours.cpuUs.toFixed(2), ratio.toFixed(2), ...sideCells(ours)],
      [`  beside ${beside}`, baseline.cpuUs.toFixed(2), "", ...sideCells(baseline)],
    ]),
  ]);
  console.log(
    "\nCPU of the server per delivery, what taking the events costs included; " +
      "without that where it says so.",
  );
  const sides = rows.flatMap(({ ours, baseline }) => [ours, baseline]);
  warnOfOthers(Math.max(...sides.map(({ othersCores }) => othersCores)));
}

function sideCells(side: Side): string[] {
  return [
    side.cpuUsBeyondPublishing?.toFixed(2) ?? "",
    formatUs(side.p50Us),
    formatUs(side.p99Us),
    side.deliveriesPerSecond.toFixed(0),
    String(faultsOf(side)),
  ];
}

if (import.meta.main) await main();
