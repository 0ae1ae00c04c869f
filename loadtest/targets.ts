import { z } from "zod";
import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import type { Server } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { measureCores, measurePublished, wordsFor } from "./window.ts";

/**
 * What an event to one channel, or to one user, costs while thousands of others are connected, each
 * with a channel (a user) of its own, beside what it costs where nobody else is.
 *
 *   bun loadtest/targets.ts [--subscribers 10000] [--rate 2000] [--seconds 10] [--idle 5] [--warmup 3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    subscribers: ranges.subscribers(10_000),
    rate: { absent: 2000, least: 100, most: 20_000 },
    seconds: ranges.seconds(10),
    idle: ranges.seconds(5),
    warmup: ranges.seconds(3),
  });
  await buildPrograms();
  const rows: TargetCost[] = [];
  for (const kind of KINDS) rows.push(...(await measureTarget(kind, settings)));
  print(rows);
  warnOfOthers(Math.max(...rows.map(({ othersCores }) => othersCores)));
  await saveResult("targets", { settings, rows });
}

/** With all streams open `idle` seconds are measured without events; events come for `warmup`, then `seconds` are measured. */
export interface TargetSettings {
  readonly subscribers: number;
  readonly rate: number;
  readonly seconds: number;
  readonly idle: number;
  readonly warmup: number;
}

/** What events to one of so many subscribers cost. */
export interface TargetCost extends Figures {
  readonly kind: Kind;
  readonly subscribers: number;
  readonly events: number;
  /** Of the server, beyond what it uses while nothing is published. */
  readonly cpuUsPerEvent: number;
  readonly idleCores: number;
}

/** Where one subscriber is alone, and where it is one of many. */
export async function measureTarget(
  kind: Kind,
  settings: TargetSettings,
): Promise<[TargetCost, TargetCost]> {
  const alone = await measureAmong(kind, 1, settings);
  return [alone, await measureAmong(kind, settings.subscribers, settings)];
}

/** How an event names the one who gets it. */
type Kind = (typeof KINDS)[number];

const KINDS = ["channel", "user"] as const;

/** The publisher's names, and those that the streams go by. */
const NAMED = {
  channel: { words: { channels: 1 }, path: "/events?channels=c{n}", first: "c0" },
  user: { words: { users: 1 }, path: "/events?userId=u{n}", first: "u0" },
} as const;

/** Events in one request, so that requests cost little beside them. */
const BATCH = 100;
/** For the server to be done with the streams it has opened, and for the publisher to start. */
const SETTLE_S = 1;

async function measureAmong(
  kind: Kind,
  subscribers: number,
  { rate, seconds, idle, warmup }: TargetSettings,
): Promise<TargetCost> {
  await using server = await startServer({
    DATA_DIR: ":memory:",
    // What comes on its own must not come within the windows.
    SSE_HEARTBEAT_INTERVAL: "600000",
  });
  const { words, path } = NAMED[kind];
  const load = { rate, bytes: 20, paceMs: (BATCH / rate) * 1_000 };
  const options = {
    connections: subscribers,
    path,
    warmup: 2 * SETTLE_S + idle + warmup,
    seconds,
    drain: 1,
  };
  let idleCores = 0;
  const measurement = await measurePublished(
    server,
    options,
    { ...wordsFor(server, load), ...words },
    {
      beforehand: async () => {
        await checkReceivers(server, kind);
        await Bun.sleep(SETTLE_S * 1_000);
        idleCores = await measureCores(server, idle);
      },
    },
  );
  const { measured } = measurement.subscribers;
  const cpuSeconds = measurement.serverCpuSeconds - idleCores * measured.seconds;
  return {
    ...figuresOf(measurement),
    kind,
    subscribers,
    events: measured.events,
    cpuUsPerEvent: (cpuSeconds / measured.events) * 1e6,
    idleCores,
  };
}

const Published = z.object({ receivers: z.number() });

/** What goes to one must go to one, or the figures are of something else. */
async function checkReceivers({ port }: Server, kind: Kind): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data: "to one", to: { [kind]: NAMED[kind].first } }),
  });
  const { receivers } = Published.parse(await answer.json());
  if (receivers !== 1) throw new Error(`${receivers} subscribers are reached, not 1`);
}

function print(rows: readonly TargetCost[]): void {
  printTable([
    [
      "one event to one",
      "subscribers",
      "events",
      "CPU µs an event",
      "ratio",
      "idle cores",
      "p99",
      "faults",
    ],
    ...rows.map((row) => {
      const alone = rows.find(({ kind }) => kind === row.kind)?.cpuUsPerEvent ?? Number.NaN;
      return [
        row.kind,
        String(row.subscribers),
        String(row.events),
        row.cpuUsPerEvent.toFixed(1),
        (row.cpuUsPerEvent / alone).toFixed(2),
        row.idleCores.toFixed(3),
        formatUs(row.p99Us),
        String(faultsOf(row)),
      ];
    }),
  ]);
}

if (import.meta.main) await main();
