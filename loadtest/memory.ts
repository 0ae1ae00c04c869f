import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { readNumbers } from "./options.ts";
import { startPublisher, startServer } from "./processes.ts";
import type { Publisher, Server } from "./processes.ts";
import { buildPrograms, runSubscribers } from "./programs.ts";
import type { SubscribersResult } from "./programs.ts";
import type { PublisherResult } from "./publisher.ts";
import * as ranges from "./ranges.ts";
import { printTable, saveResult } from "./report.ts";
import { residentKbOf } from "./usage.ts";

/**
 * What Headgate's memory does with many idle subscribers, and with some that do not read.
 *
 *   bun loadtest/memory.ts [--idle 10000] [--subscribers 3000] [--stall-percent 10]
 *     [--rate 200] [--bytes 500] [--seconds 15] [--settle 3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    idle: ranges.subscribers(10_000),
    subscribers: ranges.subscribers(3_000),
    stallPercent: { absent: 10, least: 1, most: 100 },
    rate: ranges.rate(200),
    bytes: ranges.bytes(500),
    seconds: ranges.seconds(15),
    settle: ranges.seconds(3),
  });
  await buildPrograms();
  const result = await measureMemory(settings);
  print(result, settings);
  await saveResult("memory", { settings, ...result });
}

/** `settle` is the time in seconds before memory is read, without events and then with them. */
export interface MemorySettings {
  readonly idle: number;
  readonly subscribers: number;
  readonly stallPercent: number;
  readonly rate: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly settle: number;
}

/** What many idle subscribers take, and what others take with events, where all read and where some stall. */
export interface Memory {
  readonly idle: IdleMemory;
  readonly reading: FlowMemory;
  readonly stalled: FlowMemory;
}

/** Measures one after the other, each with a server of its own. */
export async function measureMemory(settings: MemorySettings): Promise<Memory> {
  const idle = await withServer((server) => holdIdle(server, settings));
  const reading = await withServer((server) =>
    holdStalled(server, { ...settings, stallPercent: 0 }),
  );
  const stalled = await withServer((server) => holdStalled(server, settings));
  return { idle, reading, stalled };
}

interface IdleMemory {
  readonly startKb: number;
  readonly openKb: number;
  readonly kbEach: number;
  readonly subscribers: SubscribersResult;
}

interface FlowMemory {
  /** All streams open, no event yet. */
  readonly beforeKb: number;
  /** Events have flowed for some seconds: what Bun needs for that is there. */
  readonly warmKb: number;
  /** At the end of the window. */
  readonly afterKb: number;
  readonly subscribers: SubscribersResult;
  readonly publisher: PublisherResult;
}

/** A stalled reader's socket takes its kernel buffers' worth first; a small one is full sooner. */
const RECEIVE_BUFFER_BYTES = 65_536;

/** A server of its own each time, as what it once allocated stays with the process. Its log is on disk, so that events do not count as memory. */
async function withServer<T>(use: (server: Server) => Promise<T>): Promise<T> {
  using directory = temporaryDirectory();
  // Longer than any window, so that stalled subscribers are held and not cut.
  await using server = await startServer({ DATA_DIR: directory.path, SSE_MAX_STALL: "900000" });
  return await use(server);
}

async function holdIdle(server: Server, { idle, settle }: MemorySettings): Promise<IdleMemory> {
  const startKb = residentKbOf(server.pid);
  let openKb = 0;
  const options = { connections: idle, warmup: settle, seconds: 1 };
  const subscribers = await runSubscribers(server.port, options, (phase) => {
    if (phase === "measure") openKb = residentKbOf(server.pid);
  });
  return { startKb, openKb, kbEach: (openKb - startKb) / subscribers.ok, subscribers };
}

async function holdStalled(
  server: Server,
  { subscribers: connections, rate, bytes, seconds, stallPercent, settle }: MemorySettings,
): Promise<FlowMemory> {
  let [beforeKb, warmKb, afterKb] = [0, 0, 0];
  let publisher: Publisher | undefined;
  let stopped: Promise<PublisherResult> | undefined;
  const target = `http://127.0.0.1:${server.port}`;
  const words = { target, rate, bytes, seconds: seconds + 60 };
  const options = {
    connections,
    seconds,
    stallPercent,
    sample: 30,
    warmup: settle,
    drain: 2,
    receiveBuffer: RECEIVE_BUFFER_BYTES,
  };
  const subscribers = await runSubscribers(server.port, options, (phase) => {
    if (phase === "warmup") {
      beforeKb = residentKbOf(server.pid);
      publisher = startPublisher(words);
    }
    if (phase === "measure") warmKb = residentKbOf(server.pid);
    if (phase === "drain") {
      afterKb = residentKbOf(server.pid);
      stopped = publisher?.stop();
    }
  });
  if (stopped === undefined) throw new Error("The subscribers ended before the publisher began");
  return { beforeKb, warmKb, afterKb, subscribers, publisher: await stopped };
}

function print({ idle, reading, stalled }: Memory, { settle }: MemorySettings): void {
  console.log(
    `At start ${megabytes(idle.startKb)}, with ${idle.subscribers.ok} idle subscribers ` +
      `${megabytes(idle.openKb)}: ${idle.kbEach.toFixed(1)} KB each\n`,
  );
  const line = (name: string, show: (flow: FlowMemory) => string): string[] => [
    name,
    show(reading),
    show(stalled),
  ];
  printTable([
    ["", "all read", "some stall"],
    line("subscribers", ({ subscribers }) => String(subscribers.ok)),
    line("of them stalled", ({ subscribers }) => String(subscribers.stalled)),
    line("cut meanwhile", ({ subscribers }) => String(subscribers.stalledCut)),
    line("resident, no event yet", ({ beforeKb }) => megabytes(beforeKb)),
    line(`resident, ${settle} s of events`, ({ warmKb }) => megabytes(warmKb)),
    line("resident, at the end", ({ afterKb }) => megabytes(afterKb)),
    line("gaps of the readers", ({ subscribers }) => String(subscribers.gaps)),
  ]);
}

function megabytes(kb: number): string {
  return `${(kb / 1_024).toFixed(1)} MB`;
}

if (import.meta.main) await main();
