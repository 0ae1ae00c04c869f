import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { startKafka, uniqueTopic } from "../test/support/kafka.ts";
import { obstacles, readLimits } from "./limits.ts";
import { readNumbers } from "./options.ts";
import { measure, startPublisher, startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import type { SubscribersResult } from "./programs.ts";
import type { PublisherResult } from "./publisher.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { familyResidentKbOf } from "./usage.ts";

/**
 * The load test: many subscribers on one server of several workers, which reads a slow topic from a real
 * Kafka. Ends with 1 where a threshold is not met.
 *
 *   bun loadtest/thresholds.ts [--streams 50000] [--workers 3] [--processes 3] [--seconds 120] [--rate 1]
 *     [--bytes 100] [--ramp 2000] [--gzip 0|1] [--warmup 5] [--drain 3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    streams: { absent: 50_000, least: 1, most: 200_000 },
    workers: { absent: 3, least: 1, most: 16 },
    processes: { absent: 3, least: 1, most: 16 },
    seconds: { absent: 120, least: 1, most: 600 },
    rate: { absent: 1, least: 1, most: 1_000 },
    bytes: { absent: 100, least: 0, most: 65_536 },
    ramp: { absent: 2_000, least: 1, most: 20_000 },
    gzip: { absent: 0, least: 0, most: 1 },
    warmup: { absent: WARMUP_S, least: 0, most: 60 },
    drain: { absent: DRAIN_S, least: 0, most: 60 },
  });
  const { streams, workers, processes } = settings;
  const load = { streams, serverProcesses: workers, generatorProcesses: processes };
  const missing = obstacles(readLimits(), load);
  if (missing.length > 0) {
    console.error(`This machine does not allow ${streams} streams:\n${missing.join("\n")}`);
    process.exitCode = 1;
    return;
  }
  await buildPrograms();
  const result = await measureThresholds(settings);
  print(result);
  warnOfOthers(result.othersCores);
  await saveResult("thresholds", { settings, ...result });
  if (result.thresholds.some(({ isMet }) => !isMet)) process.exitCode = 1;
}

export interface ThresholdSettings {
  readonly streams: number;
  readonly workers: number;
  readonly processes: number;
  readonly seconds: number;
  readonly rate: number;
  readonly bytes: number;
  readonly ramp: number;
  readonly gzip: number;
  /** Seconds with events before the window, and to read on after it: 5 and 3. */
  readonly warmup?: number;
  readonly drain?: number;
}

/** What was asked for, and whether it was so. */
export interface Threshold {
  readonly name: string;
  readonly wanted: string;
  readonly found: string;
  readonly isMet: boolean;
}

export interface ThresholdsResult {
  readonly thresholds: readonly Threshold[];
  /** Resident memory of all the server's processes, before the streams and with them. */
  readonly beforeKb: number;
  readonly openKb: number;
  readonly kbEach: number;
  readonly serverCpuSeconds: number;
  readonly othersCores: number;
  readonly publisher: PublisherResult;
  readonly subscribers: SubscribersResult;
}

const WARMUP_S = 5;
const DRAIN_S = 3;
const PARTITIONS = 3;
/** Of the publisher, beyond the window: for a driver that died. */
const SPARE_S = 60;

/** Needs the programs to be built, and a machine that allows it. */
export async function measureThresholds(settings: ThresholdSettings): Promise<ThresholdsResult> {
  const {
    streams,
    workers,
    processes,
    seconds,
    rate,
    bytes,
    ramp,
    gzip,
    warmup = WARMUP_S,
    drain = DRAIN_S,
  } = settings;
  await using kafka = await startKafka();
  const topic = uniqueTopic("load");
  await kafka.createTopic(topic, PARTITIONS);
  // On disk: in memory, the workers could not share it.
  using directory = temporaryDirectory();
  await using server = await startServer({
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topic,
    DATA_DIR: directory.path,
    WORKERS: String(workers),
  });
  const beforeKb = familyResidentKbOf(server.pid);
  let openKb = beforeKb;
  let stop = (): Promise<PublisherResult> => Promise.reject(new Error("Nothing was published"));
  let stopped: Promise<PublisherResult> | undefined;
  const { subscribers, serverCpuSeconds, othersCores } = await measure(
    server,
    { connections: streams, processes, ramp, gzip, seconds, warmup, drain },
    {
      onOpen: () => {
        const limit = warmup + seconds + SPARE_S;
        const to = { kafka: kafka.brokers[0] ?? "", topic };
        const publisher = startPublisher({ ...to, rate, bytes, seconds: limit });
        stop = () => publisher.stop();
      },
      onMeasured: () => {
        openKb = familyResidentKbOf(server.pid);
        stopped = stop();
      },
    },
  );
  return {
    thresholds: thresholdsOf(subscribers),
    beforeKb,
    openKb,
    kbEach: (openKb - beforeKb) / streams,
    serverCpuSeconds,
    othersCores,
    publisher: await (stopped ?? stop()),
    subscribers,
  };
}

type Opening = Pick<
  SubscribersResult,
  "connections" | "failed" | "closedByServer" | "openAtEnd" | "firstByteUs" | "firstEventUs"
>;

/** A stream counts as opened where it was answered, and was still there at the end. */
export function thresholdsOf(subscribers: Opening): Threshold[] {
  const { connections, failed, closedByServer, openAtEnd, firstByteUs, firstEventUs } = subscribers;
  const opened = openAtEnd / connections;
  const errors = failed + closedByServer;
  const within = (name: string, { p95, count }: typeof firstByteUs, mostMs: number): Threshold => ({
    name: `95% of ${name} within`,
    wanted: `${mostMs} ms`,
    found: count > 0 ? formatUs(p95) : "none came",
    isMet: count > 0 && p95 <= mostMs * 1_000,
  });
  return [
    {
      name: "streams opened",
      wanted: "> 95%",
      found: `${(opened * 100).toFixed(2)}%`,
      isMet: opened > 0.95,
    },
    {
      name: "connection errors",
      wanted: "< 500",
      found: String(errors),
      isMet: errors < 500,
    },
    within("first bytes", firstByteUs, 5_000),
    within("first events", firstEventUs, 3_000),
  ];
}

function print({ thresholds, subscribers, publisher, ...result }: ThresholdsResult): void {
  printTable([
    ["threshold", "wanted", "found", ""],
    ...thresholds.map(({ name, wanted, found, isMet }) => [
      name,
      wanted,
      found,
      isMet ? "met" : "NOT MET",
    ]),
  ]);
  console.log();
  const { measured, latencyUs, firstByteUs, firstEventUs } = subscribers;
  printTable([
    ["streams", String(subscribers.connections)],
    ["records published", String(publisher.published)],
    ["deliveries in the window", String(measured.deliveries)],
    ["gaps", String(subscribers.gaps)],
    ["repeats", String(subscribers.repeats)],
    [
      "delay p50 / p99 / max",
      [latencyUs.p50, latencyUs.p99, latencyUs.max].map(formatUs).join(" / "),
    ],
    ["first byte p50 / max", [firstByteUs.p50, firstByteUs.max].map(formatUs).join(" / ")],
    ["first event p50 / max", [firstEventUs.p50, firstEventUs.max].map(formatUs).join(" / ")],
    ["memory of a stream", `${result.kbEach.toFixed(1)} KB`],
    ["cores of the server", (result.serverCpuSeconds / measured.seconds).toFixed(2)],
    ["cores of the generator", (measured.cpuSeconds / measured.seconds).toFixed(2)],
  ]);
}

if (import.meta.main) await main();
