import { measure, startPublisher } from "./processes.ts";
import type { Measurement, Publisher, Server } from "./processes.ts";
import { startFloor } from "./programs.ts";
import type { SubscriberOptions } from "./programs.ts";
import type { PublisherResult } from "./publisher.ts";
import type { Lengths } from "./ranges.ts";
import { familyCpuSecondsOf } from "./usage.ts";

/** A measured window with events that were published meanwhile. */
export interface PublishedMeasurement extends Measurement {
  readonly publisher: PublisherResult;
}

/** Where a publisher sends what: its arguments but `seconds`. */
export type PublisherWords = Readonly<Record<string, string | number>>;

/** Numbered events at an even rate, as the publisher and the floor program make them. */
export interface Load {
  readonly rate: number;
  readonly bytes: number;
  readonly paceMs: number;
}

/** How many streams are open, and of how many one is parsed whole. */
export interface Crowd {
  readonly subscribers: number;
  readonly sample: number;
}

/** For a driver that died: nothing publishes for longer than this beyond its window. */
const LEEWAY_S = 60;

/** Runs around a measurement with a publisher. */
export interface PublishedHooks {
  /** With all streams open and no event yet; what it takes counts as part of the warmup. */
  readonly beforehand?: () => Promise<void>;
  /** The window is over, the streams are still open. */
  readonly onMeasured?: () => void;
}

/** Measures with a publisher that begins when all streams are open, and ends with the window. */
export async function measurePublished(
  server: Server,
  subscribers: SubscriberOptions,
  words: PublisherWords,
  { beforehand = () => Promise.resolve(), onMeasured }: PublishedHooks = {},
): Promise<PublishedMeasurement> {
  const { warmup = 0, seconds } = subscribers;
  const limit = warmup + seconds + LEEWAY_S;
  let publisher: Promise<Publisher> | undefined;
  let stopped: Promise<PublisherResult> | undefined;
  const measurement = await measure(server, subscribers, {
    onOpen: () => {
      publisher = beforehand().then(() => startPublisher({ ...words, seconds: limit }));
    },
    onMeasured: () => {
      stopped = publisher?.then((started) => started.stop());
      onMeasured?.();
    },
  });
  if (stopped === undefined) throw new Error("The subscribers ended before the publisher began");
  return { ...measurement, publisher: await stopped };
}

/** Measures the floor program with the same load, its ids as long as `idBytes`. */
export async function measureFloor(
  settings: Load & Crowd & Lengths,
  idBytes: number,
): Promise<Measurement> {
  const { rate, bytes, paceMs, subscribers, warmup, seconds, drain } = settings;
  // It ends by itself some time after the subscribers have.
  const life = Math.ceil(warmup + seconds + drain + subscribers / 1_000 + LEEWAY_S);
  await using floor = await startFloor({ rate, bytes, idBytes, paceMs, seconds: life });
  return await measure(floor, subscriberOptions(settings));
}

/** How many cores the server uses to take these events while nobody reads them. */
export async function measurePublishing(
  server: Server,
  words: PublisherWords,
  seconds: number,
): Promise<number> {
  const publisher = startPublisher({ ...words, seconds: seconds + LEEWAY_S });
  // The publisher starts, and the server's code is compiled, outside of the window.
  await Bun.sleep(1_500);
  const cores = await measureCores(server, seconds);
  await publisher.stop();
  return cores;
}

/** How many cores the server uses from now on. */
export async function measureCores(server: Server, seconds: number): Promise<number> {
  const [before, start] = [familyCpuSecondsOf(server.pid), performance.now()];
  await Bun.sleep(seconds * 1_000);
  return (familyCpuSecondsOf(server.pid) - before) / ((performance.now() - start) / 1_000);
}

/** What the publisher is told to send this load to the server. */
export function wordsFor({ port }: Server, { rate, bytes, paceMs }: Load): PublisherWords {
  return { target: `http://127.0.0.1:${port}`, rate, bytes, paceMs };
}

/** What the subscribers program is told; all streams have the same path unless one is given. */
export function subscriberOptions(
  { subscribers, sample, warmup, seconds, drain }: Crowd & Lengths,
  path = "/events",
): SubscriberOptions {
  return { connections: subscribers, sample, warmup, seconds, drain, path };
}
