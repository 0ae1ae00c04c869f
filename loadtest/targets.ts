import { measure, startServer } from "./processes.ts";
import type { Server } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import { readNumbers } from "./options.ts";
import { printTable, saveResult, warnOfOthers } from "./report.ts";
import { cpuSecondsOf } from "./usage.ts";

/**
 * What an event to one channel, or to one user, costs while thousands of others are connected, each
 * with a channel (a user) of its own, beside what it costs where nobody else is.
 *
 *   bun loadtest/targets.ts [--subscribers 10000] [--rate 2000] [--seconds 10]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    subscribers: { absent: 10_000, least: 1, most: 18_999 },
    rate: { absent: 2000, least: 100, most: 20_000 },
    seconds: { absent: 10, least: 1, most: 600 },
  });
  await buildPrograms();
  const rows: Cost[] = [];
  for (const kind of ["channel", "user"] as const) {
    for (const subscribers of [1, settings.subscribers]) {
      rows.push(await run(kind, { ...settings, subscribers }));
    }
  }
  print(rows);
  warnOfOthers(Math.max(...rows.map(({ othersCores }) => othersCores)));
  await saveResult("targets", { settings, rows });
}

interface Settings {
  readonly subscribers: number;
  readonly rate: number;
  readonly seconds: number;
}

interface Cost {
  readonly kind: Kind;
  readonly subscribers: number;
  readonly events: number;
  /** Of the server, beyond what it uses while nothing is published. */
  readonly cpuUsPerEvent: number;
  readonly idleCores: number;
  readonly othersCores: number;
}

type Kind = "channel" | "user";

const PATHS: Readonly<Record<Kind, string>> = {
  channel: "/events?channels=n{n}",
  user: "/events?userId=n{n}",
};

const WARMUP_S = 3;
const IDLE_S = 5;
/** Events in one request, so that requests cost little beside them. */
const BATCH = 100;

async function run(kind: Kind, settings: Settings): Promise<Cost> {
  await using server = await startServer({
    DATA_DIR: ":memory:",
    // What comes on its own must not come within the windows.
    SSE_HEARTBEAT_INTERVAL: "600000",
  });
  const { seconds, subscribers } = settings;
  let events = 0;
  let idleCores = 0;
  let cpuSeconds = 0;
  let work: Promise<void> = Promise.resolve();
  const { othersCores } = await measure(
    server,
    {
      connections: subscribers,
      path: PATHS[kind],
      warmup: WARMUP_S,
      seconds: IDLE_S + 2 * seconds,
    },
    {
      onOpen: () => {
        work = (async () => {
          await publishFor(server, kind, settings, WARMUP_S);
          const idleFrom = cpuSecondsOf(server.pid);
          await Bun.sleep(IDLE_S * 1000);
          const from = cpuSecondsOf(server.pid);
          idleCores = (from - idleFrom) / IDLE_S;
          events = await publishFor(server, kind, settings, seconds);
          cpuSeconds = cpuSecondsOf(server.pid) - from - idleCores * seconds;
        })();
      },
    },
  );
  await work;
  return {
    kind,
    subscribers,
    events,
    cpuUsPerEvent: (cpuSeconds / events) * 1e6,
    idleCores,
    othersCores,
  };
}

/** Publishes at an even rate, to one of the subscribers; how many events. */
async function publishFor(
  { port }: Server,
  kind: Kind,
  { rate, subscribers }: Settings,
  seconds: number,
): Promise<number> {
  const to = { [kind]: `n${subscribers >> 1}` };
  const body = JSON.stringify(
    Array.from({ length: BATCH }, () => ({ data: { text: "hello" }, to })),
  );
  const startMs = performance.now();
  let published = 0;
  while (performance.now() - startMs < seconds * 1000) {
    const dueMs = startMs + (published / rate) * 1000;
    await Bun.sleep(Math.max(0, dueMs - performance.now()));
    const answer = await fetch(`http://127.0.0.1:${port}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    const { receivers } = (await answer.json()) as { receivers: number };
    if (receivers !== 1) throw new Error(`${receivers} subscribers are reached, not 1`);
    published += BATCH;
  }
  return published;
}

function print(rows: readonly Cost[]): void {
  printTable([
    ["one event to one", "subscribers", "events", "CPU µs an event", "ratio", "idle cores"],
    ...rows.map(({ kind, subscribers, events, cpuUsPerEvent, idleCores }) => {
      const alone = rows.find((row) => row.kind === kind)?.cpuUsPerEvent ?? Number.NaN;
      return [
        kind,
        String(subscribers),
        String(events),
        cpuUsPerEvent.toFixed(1),
        (cpuUsPerEvent / alone).toFixed(2),
        idleCores.toFixed(3),
      ];
    }),
  ]);
}

await main();
