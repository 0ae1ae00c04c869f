import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import type { Server } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { familyOf, familyResidentKbOf } from "./usage.ts";
import { measureCores, measurePublished, subscriberOptions, wordsFor } from "./window.ts";
import type { Crowd, Load } from "./window.ts";

/**
 * What WORKERS cost and bring: one process beside several that share the port, under the same load.
 *
 *   bun loadtest/workers.ts [--most 3] [--subscribers 6000] [--rate 200] [--bytes 100] [--idle 5]
 *     [--seconds 10] [--warmup 4] [--drain 2] [--sample 50] [--pace-ms 5]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    ...ranges.lengths,
    most: { absent: 3, least: 1, most: 64 },
    subscribers: ranges.subscribers(6_000),
    rate: ranges.rate(200),
    bytes: ranges.bytes(100),
    idle: ranges.seconds(5),
    sample: ranges.sample(50),
    paceMs: { absent: 5, least: 1, most: 999 },
  });
  await buildPrograms();
  const rows = await measureWorkers(settings);
  print(rows);
  await saveResult("workers", { settings, rows });
}

/** From one worker to `most` of them; `idle` seconds are measured with all streams open and no event. */
export interface WorkersSettings extends Crowd, Load, ranges.Lengths {
  readonly most: number;
  readonly idle: number;
}

/** What so many workers come to. Memory and CPU are of all processes together. */
export interface WorkersRow extends Figures {
  readonly workers: number;
  readonly processes: number;
  /** Before any subscriber, with all of them idle, and at the end of the window. */
  readonly startRssMb: number;
  readonly idleRssMb: number;
  readonly rssMb: number;
  readonly idleCores: number;
}

/** One after the other, each with a server and a log on disk of its own. */
export async function measureWorkers(settings: WorkersSettings): Promise<WorkersRow[]> {
  const rows: WorkersRow[] = [];
  for (let workers = 1; workers <= settings.most; workers += 1) {
    using directory = temporaryDirectory();
    await using server = await startServer({ DATA_DIR: directory.path, WORKERS: String(workers) });
    rows.push({ workers, ...(await measureServer(server, settings)) });
  }
  return rows;
}

/** For the server to be done with the streams it has opened. */
const SETTLE_S = 1;

async function measureServer(
  server: Server,
  settings: WorkersSettings,
): Promise<Omit<WorkersRow, "workers">> {
  const { idle, warmup } = settings;
  const startRssMb = megabytesOf(server);
  let [idleRssMb, rssMb, idleCores] = [0, 0, 0];
  const options = subscriberOptions({ ...settings, warmup: SETTLE_S + idle + warmup });
  const measurement = await measurePublished(server, options, wordsFor(server, settings), {
    beforehand: async () => {
      await Bun.sleep(SETTLE_S * 1_000);
      idleCores = await measureCores(server, idle);
      idleRssMb = megabytesOf(server);
    },
    onMeasured: () => {
      rssMb = megabytesOf(server);
    },
  });
  const processes = familyOf(server.pid).length;
  return { ...figuresOf(measurement), processes, startRssMb, idleRssMb, rssMb, idleCores };
}

function megabytesOf({ pid }: Server): number {
  return familyResidentKbOf(pid) / 1_024;
}

function print(rows: readonly WorkersRow[]): void {
  const one = rows[0];
  if (one === undefined) return;
  const beside = (value: number, first: number, digits: number): string =>
    `${value.toFixed(digits)} (${(value / first).toFixed(2)})`;
  printTable([
    ["", ...rows.map(({ workers }) => `${workers} worker${workers > 1 ? "s" : ""}`)],
    ["processes", ...rows.map(({ processes }) => String(processes))],
    ["MB at start", ...rows.map((row) => beside(row.startRssMb, one.startRssMb, 0))],
    ["MB, all idle", ...rows.map((row) => beside(row.idleRssMb, one.idleRssMb, 0))],
    ["MB under load", ...rows.map((row) => beside(row.rssMb, one.rssMb, 0))],
    ["cores, all idle", ...rows.map((row) => row.idleCores.toFixed(3))],
    ["cores under load", ...rows.map((row) => beside(row.cores, one.cores, 2))],
    [
      "CPU µs a delivery",
      ...rows.map((row) => beside(row.cpuUsPerDelivery, one.cpuUsPerDelivery, 2)),
    ],
    ["deliveries/s", ...rows.map((row) => row.deliveriesPerSecond.toFixed(0))],
    ["delay p50", ...rows.map((row) => formatUs(row.p50Us))],
    ["delay p99", ...rows.map((row) => formatUs(row.p99Us))],
    ["gaps, repeats, streams lost", ...rows.map((row) => String(faultsOf(row)))],
  ]);
  console.log(
    "\nIn brackets: beside one process. Pages that processes share count for each of them.",
  );
  warnOfOthers(Math.max(...rows.map(({ othersCores }) => othersCores)));
}

if (import.meta.main) await main();
