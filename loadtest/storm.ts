import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { until } from "../test/support/feed.ts";
import { startFreshClients } from "./fresh-clients.ts";
import type { FreshClients } from "./fresh-clients.ts";
import { NumberedEvents } from "./numbered-events.ts";
import { readOptions } from "./options.ts";
import { lastingPort, spawnServer, startServer } from "./processes.ts";
import type { StartingServer } from "./processes.ts";
import { buildPrograms, startSubscribers } from "./programs.ts";
import type { Progress, RunningSubscribers, SubscribersResult } from "./programs.ts";
import { formatUs, printTable, saveResult } from "./report.ts";
import { familyResidentKbOf } from "./usage.ts";

/**
 * The reconnect storm: a server goes away with all its subscribers, events get into its log meanwhile,
 * and when it is there again they all come back at once, each with its last event id.
 *
 *   bun loadtest/storm.ts [--subscribers 10000] [--events 1000] [--bytes 100] [--spread 2]
 *     [--stop term|kill] [--workers 1] [--gzip 0|1] [--limit 120]
 *
 * `--spread` is the seconds within which they come back, `--limit` those after which they are given up.
 */
async function main(): Promise<void> {
  const { numbers, texts } = readOptions(
    {
      subscribers: { absent: 10_000, least: 1, most: 100_000 },
      events: { absent: 1_000, least: 1, most: 100_000 },
      bytes: { absent: 100, least: 0, most: 9_000 },
      spread: { absent: 2, least: 0.1, most: 60 },
      workers: { absent: 1, least: 1, most: 16 },
      gzip: { absent: 0, least: 0, most: 1 },
      limit: { absent: 120, least: 5, most: 500 },
    },
    ["stop"],
  );
  const { stop = "term" } = texts;
  if (stop !== "term" && stop !== "kill") throw new Error(`--stop ${stop}: term or kill is needed`);
  const settings = { ...numbers, stop } as const;
  await buildPrograms();
  const result = await measureStorm(settings);
  print(result);
  await saveResult("storm", { settings, ...result });
}

/** Times in seconds, sizes as the options have them. */
export interface StormSettings {
  readonly subscribers: number;
  readonly events: number;
  readonly bytes: number;
  readonly spread: number;
  readonly workers: number;
  readonly gzip: number;
  readonly limit: number;
  readonly stop: "term" | "kill";
}

/** What a storm did to the server and its subscribers. */
export interface StormResult {
  /** From when the server was started again, and from when it listened, until the last one was live. */
  readonly sinceStartMs: number;
  readonly sinceListeningMs: number;
  /** From when the server was stopped until it listened again. */
  readonly awayMs: number;
  /** Resident memory of all its processes: when it listened again, and the most that was seen. */
  readonly listeningKb: number;
  readonly highestKb: number;
  readonly fresh: FreshClients;
  /** Undefined where the server does not tell. */
  readonly cache: { readonly hits: number; readonly misses: number } | undefined;
  /** What each subscriber should have had in all. */
  readonly eventsEach: number;
  readonly subscribers: SubscribersResult;
}

/** Before the storm, and after it: they show who is live. */
const EVENTS_BEFORE = 100;
const EVENTS_AFTER = 10;
/** Short, but long enough that every stream is told of the end. */
const GRACE_MS = 500;
const FRESH_EVERY_MS = 100;
const RESIDENT_EVERY_MS = 50;
/** Of the generator's run; it is ended when all is seen. */
const MOST_SECONDS = 600;

/** Needs the programs to be built. */
export async function measureStorm(settings: StormSettings): Promise<StormResult> {
  using directory = temporaryDirectory();
  const variables = {
    DATA_DIR: directory.path,
    SHUTDOWN_GRACE: String(GRACE_MS),
    WORKERS: String(settings.workers),
    PORT: String(await lastingPort()),
  };
  await using first = await startServer(variables);
  const crowd = new Crowd(first.port, settings);
  try {
    const events = new NumberedEvents(settings.bytes);
    await crowd.until(({ phase }) => phase === "measure");
    await events.publish(first.port, EVENTS_BEFORE);
    await crowd.until(hasAll(events));

    const stoppedMs = Date.now();
    await first.stop(settings.stop === "kill" ? "SIGKILL" : "SIGTERM");
    await publishMeanwhile(directory.path, events, settings.events);

    const startedMs = Date.now();
    await using again = spawnServer(variables);
    const listeningMs = await untilListening(again);
    const memory = watchResident(again.pid);
    const fresh = startFreshClients(`http://127.0.0.1:${again.port}/events`, FRESH_EVERY_MS);
    await crowd.until(({ ok, lost, away }) => lost >= ok && away === 0);
    const found = { ...memory.stop(), fresh: await fresh.stop() };
    const cache = await pageCacheReads(again.port);

    await events.publish(again.port, EVENTS_AFTER);
    await crowd.until(hasAll(events));
    const subscribers = await crowd.leave();
    const backMs = subscribers.lastBackAtUs / 1_000;
    return {
      sinceStartMs: backMs - startedMs,
      sinceListeningMs: backMs - listeningMs,
      awayMs: listeningMs - stoppedMs,
      ...found,
      cache,
      eventsEach: events.published,
      subscribers,
    };
  } finally {
    await crowd.leave().catch(() => {
      // What made it fail has been thrown already, where it matters.
    });
  }
}

/** The subscribers, and where they are. */
class Crowd {
  readonly #running: RunningSubscribers;
  readonly #deadlineMs: number;
  #seen: Progress | undefined;
  #failure: unknown;

  constructor(port: number, { subscribers, gzip, spread, limit }: StormSettings) {
    const options = {
      connections: subscribers,
      gzip,
      warmup: 0.5,
      seconds: MOST_SECONDS,
      return: 1,
      stormSpread: spread,
      // With the quarter that it may be longer, everybody has tried again within the spread.
      retryEvery: spread * 0.8,
    };
    this.#deadlineMs = limit * 1_000;
    this.#running = startSubscribers(`127.0.0.1:${port}`, options, (progress) => {
      this.#seen = progress;
    });
    this.#running.result.catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Resolves when they are so; they tell once a second. */
  until(isSo: (progress: Progress) => boolean): Promise<void> {
    return until(
      () => {
        if (this.#failure !== undefined) throw this.#failure;
        return this.#seen !== undefined && isSo(this.#seen);
      },
      {
        deadlineMs: this.#deadlineMs,
        describe: () => `The subscribers: ${JSON.stringify(this.#seen)}`,
      },
    );
  }

  /** Ends them. */
  leave(): Promise<SubscribersResult> {
    this.#running.stop();
    return this.#running.result;
  }
}

function hasAll(events: NumberedEvents): (progress: Progress) => boolean {
  return ({ ok, events: seen }) => seen >= ok * events.published;
}

/** Into the same log, by a server on another port: nobody can be back when they are there. */
async function publishMeanwhile(
  directory: string,
  events: NumberedEvents,
  count: number,
): Promise<void> {
  await using server = await startServer({ DATA_DIR: directory });
  await events.publish(server.port, count);
}

/** When the server first took a connection. */
async function untilListening({ port, ended }: StartingServer): Promise<number> {
  for (;;) {
    if (ended() !== null) throw new Error(`The server ended with ${ended()}`);
    try {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: { data: () => {} },
      });
      socket.end();
      return Date.now();
    } catch {
      // Not yet.
      await Bun.sleep(5);
    }
  }
}

function watchResident(pid: number): {
  stop: () => Pick<StormResult, "listeningKb" | "highestKb">;
} {
  const listeningKb = familyResidentKbOf(pid);
  let highestKb = listeningKb;
  const timer = setInterval(() => {
    highestKb = Math.max(highestKb, familyResidentKbOf(pid));
  }, RESIDENT_EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return { listeningKb, highestKb };
    },
  };
}

async function pageCacheReads(port: number): Promise<StormResult["cache"]> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const read = (result: string): number =>
    Number(text.split(`headgate_page_cache_reads_total{result="${result}"} `)[1]?.split("\n")[0]);
  const [hits, misses] = [read("hit"), read("miss")];
  return Number.isNaN(hits) || Number.isNaN(misses) ? undefined : { hits, misses };
}

function print({ fresh, cache, subscribers, ...result }: StormResult): void {
  const { backUs, lost, away, gaps, repeats, resets, lowestLast } = subscribers;
  const megabytes = (kb: number): string => `${(kb / 1_024).toFixed(1)} MB`;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
  const ms = (value: number): string => formatUs(value * 1_000);
  const { p50, p99, max } = fresh.firstEventMs;
  printTable([
    ["subscribers", `${subscribers.ok} of ${subscribers.connections}`],
    ["lost / still away", `${lost} / ${away}`],
    ["the server was away", seconds(result.awayMs)],
    ["from when it listens until all are live", seconds(result.sinceListeningMs)],
    ["from its start until then", seconds(result.sinceStartMs)],
    ["from the loss until live p50 / max", `${formatUs(backUs.p50)} / ${formatUs(backUs.max)}`],
    ["events each, least that one has had", `${result.eventsEach}, ${lowestLast + 1}`],
    ["gaps / repeats / resets", `${gaps} / ${repeats} / ${resets}`],
    [
      "resident, listening / highest",
      [result.listeningKb, result.highestKb].map(megabytes).join(" / "),
    ],
    ["fresh clients served / not", `${fresh.served} / ${fresh.failed}`],
    ["their first event p50 / p99 / max", [p50, p99, max].map(ms).join(" / ")],
    ...(fresh.failure === undefined ? [] : [["why the first was not", fresh.failure]]),
    ["page cache hits", cache === undefined ? "not shown" : hitRate(cache)],
  ]);
}

function hitRate({ hits, misses }: { hits: number; misses: number }): string {
  return `${hits} of ${hits + misses} (${((hits / (hits + misses)) * 100).toFixed(1)}%)`;
}

if (import.meta.main) await main();
