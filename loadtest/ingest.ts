import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { join } from "node:path";
import { z } from "zod";
import { startKafka, uniqueTopic } from "../test/support/kafka.ts";
import type { KafkaCluster } from "../test/support/kafka.ts";
import { freePort } from "../test/support/kafka-node.ts";
import { figuresOf } from "./figures.ts";
import { kebab, readNumbers } from "./options.ts";
import { measure, spawnServer, startServer } from "./processes.ts";
import type { Measurement, Server, StartingServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import { Quantiles } from "./quantiles.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { cpuSecondsOf } from "./usage.ts";

/**
 * How fast records come from Kafka into the log, trimmed all the time, and on to subscribers; and whether
 * the event loop stands still meanwhile.
 *
 *   bun loadtest/ingest.ts [--records 1000000] [--rate 50000] [--bytes 200] [--partitions 1]
 *     [--subscribers 10] [--max-mib 64] [--seconds 20] [--warmup 5] [--drain 5] [--pace-ms 5]
 *
 * First `--records` are read that Kafka holds already, as fast as it goes; then `--rate` a second are
 * produced while all subscribers read all of them. With more than one partition a server that lags shows
 * numbers further apart than the subscribers wait for: gaps and repeats are then as many.
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    records: { absent: 1_000_000, least: 1_000, most: 100_000_000 },
    rate: { absent: 50_000, least: 1, most: 1_000_000 },
    bytes: { absent: 200, least: 64, most: 65_536 },
    partitions: { absent: 1, least: 1, most: 256 },
    subscribers: ranges.subscribers(10),
    maxMib: { absent: 64, least: 1, most: 100_000 },
    seconds: { ...ranges.lengths.seconds, absent: 20 },
    warmup: ranges.seconds(5),
    drain: ranges.seconds(5),
    paceMs: { absent: 5, least: 1, most: 1_000 },
  });
  await buildPrograms();
  await using kafka = await startKafka();
  const result = await measureIngest(settings, kafka);
  print(result);
  await saveResult("ingest", { settings, ...result });
}

export interface IngestSettings extends ranges.Lengths {
  /** What Kafka holds before the server reads. */
  readonly records: number;
  /** Records a second, and bytes of each one's value. */
  readonly rate: number;
  readonly bytes: number;
  readonly paceMs: number;
  readonly partitions: number;
  readonly subscribers: number;
  /** DATA_MAX_BYTES, in MiB: little enough for the log to be trimmed all the time. */
  readonly maxMib: number;
}

export interface Ingest {
  readonly catchingUp: CatchingUp;
  readonly paced: Paced;
}

/** Records that Kafka held when the server was started, over what it had taken at the first look. */
export interface CatchingUp {
  readonly recordsPerSecond: number;
  /** Of the server, all its threads. */
  readonly cpuUsPerRecord: number;
  readonly probe: ProbeResult;
}

/** Records that came at an even rate. */
export interface Paced extends Measurement {
  readonly producer: ProducerResult;
  readonly probe: ProbeResult;
}

const ProducerResult = z.object({
  produced: z.number(),
  failed: z.number(),
  ratePerSecond: z.number(),
  lateMs: Quantiles,
  requestMs: Quantiles,
  cpuSeconds: z.number(),
});
type ProducerResult = z.infer<typeof ProducerResult>;

const ProbeResult = z.object({
  answers: z.number(),
  answerMs: Quantiles,
  longestBySecondMs: z.array(z.number()),
});
type ProbeResult = z.infer<typeof ProbeResult>;

/** Measures both parts, each with a topic and a server of its own. */
export async function measureIngest(
  settings: IngestSettings,
  kafka: KafkaCluster,
): Promise<Ingest> {
  const catchingUp = await measureCatchingUp(settings, kafka);
  return { catchingUp, paced: await measurePaced(settings, kafka) };
}

async function measureCatchingUp(
  settings: IngestSettings,
  kafka: KafkaCluster,
): Promise<CatchingUp> {
  const { records, bytes, partitions } = settings;
  using place = await makePlace(settings, kafka);
  // A topic that the log does not know yet is read from as far back as the log can hold. This one it
  // knows from the start, so that all is read, and trimmed.
  await (await startServer(place.variables)).stop();
  const load = { rate: PRELOAD_RATE, seconds: records / PRELOAD_RATE, paceMs: 5 };
  await produce({ ...place.words, ...load, bytes, partitions }).ended;
  // Not awaited until it is ready: that it is once it has read all of it.
  await using server = spawnServer({ ...place.variables, PORT: String(await freePort()) });
  const first = await firstLook(server);
  const probe = startProbe(server);
  let last = first;
  while (last.records < records) {
    await Bun.sleep(200);
    last = await look(server);
    if (last.atMs - first.atMs > CATCH_UP_DEADLINE_MS) throw new Error("It does not catch up");
  }
  const count = last.records - first.records;
  return {
    recordsPerSecond: (count * 1_000) / (last.atMs - first.atMs),
    cpuUsPerRecord: ((last.cpuSeconds - first.cpuSeconds) * 1e6) / count,
    probe: await probe.stop(),
  };
}

const PRELOAD_RATE = 200_000;
const CATCH_UP_DEADLINE_MS = 600_000;

async function measurePaced(settings: IngestSettings, kafka: KafkaCluster): Promise<Paced> {
  const { subscribers, seconds, warmup, drain, rate, bytes, paceMs, partitions } = settings;
  using place = await makePlace(settings, kafka);
  await using server = await startServer(place.variables);
  let producer: Running<ProducerResult> | undefined;
  let probe: Running<ProbeResult> | undefined;
  const options = { connections: subscribers, sample: 1, seconds, warmup, drain };
  const measurement = await measure(server, options, {
    onOpen: () => {
      const load = { rate, bytes, paceMs, partitions, seconds: warmup + seconds + LEEWAY_S };
      producer = produce({ ...place.words, ...load });
      // What the server compiles in its first moments is not what is asked for.
      setTimeout(() => (probe = startProbe(server)), warmup * 1_000);
    },
    onMeasured: () => {
      producer?.kill();
      probe?.kill();
    },
  });
  if (!producer || !probe) throw new Error("The subscribers ended before the producer began");
  return { ...measurement, producer: await producer.ended, probe: await probe.ended };
}

/** For a driver that died. */
const LEEWAY_S = 60;

/** Where a server and its producer meet. */
interface Place extends Disposable {
  readonly variables: Record<string, string>;
  readonly words: { readonly kafka: string; readonly topic: string };
}

async function makePlace(
  { partitions, maxMib }: IngestSettings,
  kafka: KafkaCluster,
): Promise<Place> {
  const topic = uniqueTopic("ingest");
  await kafka.createTopic(topic, partitions);
  const directory = temporaryDirectory();
  const variables = {
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topic,
    DATA_DIR: directory.path,
    DATA_MAX_BYTES: `${maxMib}MiB`,
  };
  return {
    variables,
    words: { kafka: kafka.brokers[0] ?? "", topic },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** A program beside the server. */
interface Running<T> {
  /** Its result, once it has ended by itself or was told to. */
  readonly ended: Promise<T>;
  kill(): void;
  stop(): Promise<T>;
}

function produce(options: Record<string, string | number>): Running<ProducerResult> {
  return run("produce.ts", options, ProducerResult);
}

function startProbe({ port }: Server): Running<ProbeResult> {
  return run("probe.ts", { port }, ProbeResult);
}

function run<T>(
  program: string,
  options: Record<string, string | number>,
  result: z.ZodType<T>,
): Running<T> {
  const words = Object.entries(options).flatMap(([name, value]) => [
    `--${kebab(name)}`,
    String(value),
  ]);
  const command = [process.execPath, join(import.meta.dir, program), ...words];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const ended = new Response(child.stdout).text().then((text) => result.parse(JSON.parse(text)));
  const kill = (): void => child.kill("SIGTERM");
  return { ended, kill, stop: () => (kill(), ended) };
}

interface Look {
  readonly atMs: number;
  readonly records: number;
  readonly cpuSeconds: number;
}

/** Resolves when the server answers, and has taken its first records. */
async function firstLook(server: StartingServer): Promise<Look> {
  for (;;) {
    if (server.ended() !== null) throw new Error(`The server ended with ${server.ended()}`);
    // It may not listen yet.
    const found = await look(server).catch(() => undefined);
    if (found !== undefined && found.records > 0) return found;
    await Bun.sleep(20);
  }
}

/** How many records the server has taken, and what that has cost it so far. */
async function look({ pid, port }: Server): Promise<Look> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  const records = /^headgate_records_appended_total (\d+)$/m.exec(await answer.text())?.[1] ?? "0";
  return { atMs: performance.now(), records: Number(records), cpuSeconds: cpuSecondsOf(pid) };
}

function print({ catchingUp, paced }: Ingest): void {
  const figures = figuresOf(paced);
  const { producer, probe } = paced;
  console.log("What Kafka holds already:\n");
  printTable([
    ["records/s", catchingUp.recordsPerSecond.toFixed(0)],
    ["CPU per record", `${catchingUp.cpuUsPerRecord.toFixed(1)} us`],
    ["/livez p99", `${catchingUp.probe.answerMs.p99} ms`],
    ["/livez longest", `${catchingUp.probe.answerMs.max} ms`],
  ]);
  console.log("\nAt an even rate:\n");
  printTable([
    ["records/s", producer.ratePerSecond.toFixed(0)],
    ["deliveries/s", figures.deliveriesPerSecond.toFixed(0)],
    ["delay p50", formatUs(figures.p50Us)],
    ["delay p99", formatUs(figures.p99Us)],
    ["delay max", formatUs(paced.subscribers.latencyUs.max)],
    ["acknowledged by Kafka p50", `${producer.requestMs.p50} ms`],
    ["cores of the server", figures.cores.toFixed(2)],
    ["/livez p50", `${probe.answerMs.p50} ms`],
    ["/livez p99", `${probe.answerMs.p99} ms`],
    ["/livez longest", `${probe.answerMs.max} ms`],
    ["gaps", String(figures.gaps)],
    ["repeats", String(figures.repeats)],
    ["streams lost", String(figures.streamsLost)],
  ]);
  console.log(`\n/livez longest by second, ms: ${probe.longestBySecondMs.join(" ")}`);
  warnOfOthers(figures.othersCores);
}

if (import.meta.main) await main();
