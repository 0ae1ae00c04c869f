import { startKafka, uniqueTopic } from "../test/support/kafka.ts";
import type { KafkaCluster } from "../test/support/kafka.ts";
import { figuresOf } from "./figures.ts";
import { readNumbers } from "./options.ts";
import { startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { quantileBetween, readHistogram } from "./server-metrics.ts";
import type { HistogramCounts } from "./server-metrics.ts";
import { measurePublished, subscriberOptions } from "./window.ts";
import type { Crowd, Load, PublishedMeasurement } from "./window.ts";

/**
 * How long a record takes from its producer through a real Kafka broker and Headgate to a subscriber, and
 * where the time goes: the same records are first sent to one subscriber alone, then to all.
 *
 *   bun loadtest/kafka-latency.ts [--subscribers 1000] [--rate 1000] [--bytes 100] [--seconds 15]
 *     [--warmup 5] [--drain 3] [--sample 20] [--pace-ms 5] [--partitions 3] [--nodes 1|3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    subscribers: ranges.subscribers(1_000),
    rate: { absent: 1_000, least: 1, most: 50_000 },
    bytes: ranges.bytes(100),
    seconds: { ...ranges.lengths.seconds, absent: 15 },
    warmup: ranges.seconds(5),
    drain: ranges.seconds(3),
    sample: ranges.sample(20),
    paceMs: { absent: 5, least: 1, most: 999 },
    partitions: { absent: 3, least: 1, most: 100 },
    nodes: { absent: 1, least: 1, most: 3 },
  });
  await buildPrograms();
  await using kafka = await startKafka({ nodes: settings.nodes === 3 ? 3 : 1 });
  const result = await measureKafkaLatency(settings, kafka);
  print(result);
  await saveResult("kafka-latency", { settings, ...result });
}

/** The topic has so many partitions, and records go round them. */
export interface KafkaLatencySettings extends Load, Crowd, ranges.Lengths {
  readonly partitions: number;
}

/** One subscriber alone, all of them, and where the time goes. */
export interface KafkaLatency {
  readonly parts: DelayParts;
  readonly lone: Delay;
  readonly crowd: Delay;
}

/** A measured window, and what the server's own metrics say of it. */
interface Delay extends PublishedMeasurement {
  /** From the record's timestamp, of whole milliseconds, to the log: median, from the server's histogram. */
  readonly appendedUs: number;
  /** The same to the write to the last subscriber. */
  readonly writtenUs: number;
}

/** Medians, in microseconds; as they are of different runs their sum is about the whole. */
export interface DelayParts {
  /** From when a record was due to the producer's request. */
  readonly waitedUs: number;
  /** From the producer's request to Kafka's answer; subscribers may have the record before. */
  readonly acknowledgedUs: number;
  /** Beyond that, to a lone subscriber: fetching, storing, a turn with one write, the socket, the client. */
  readonly deliveredUs: number;
  /** Of that, until it is in the server's log. */
  readonly appendedUs: number;
  /** Of that, from the log to the write. */
  readonly turnAloneUs: number;
  /** Of that, from the write to the client. */
  readonly socketUs: number;
  /** How much longer it takes among all subscribers: the turns of the event loop. */
  readonly turnsUs: number;
  /** CPU of one such turn. */
  readonly turnUs: number;
}

/** Measures with a topic and servers of its own. */
export async function measureKafkaLatency(
  settings: KafkaLatencySettings,
  kafka: KafkaCluster,
): Promise<KafkaLatency> {
  const lone = await measureDelay({ ...settings, subscribers: 1, sample: 1 }, kafka);
  const crowd = await measureDelay(settings, kafka);
  return { parts: partsOf(lone, crowd), lone, crowd };
}

const APPENDED = "headgate_append_latency_seconds";
const DELIVERY = "headgate_delivery_latency_seconds";

async function measureDelay(settings: KafkaLatencySettings, kafka: KafkaCluster): Promise<Delay> {
  const { rate, bytes, paceMs, partitions } = settings;
  const topic = uniqueTopic("load");
  await kafka.createTopic(topic, partitions);
  await using server = await startServer({
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topic,
    DATA_DIR: ":memory:",
  });
  const words = { kafka: kafka.brokers[0] ?? "", topic, rate, bytes, paceMs, partitions };
  let appendedBefore: HistogramCounts = [];
  let before: HistogramCounts = [];
  const measurement = await measurePublished(server, subscriberOptions(settings), words, {
    beforehand: async () => {
      appendedBefore = await readHistogram(server, APPENDED);
      before = await readHistogram(server, DELIVERY);
    },
  });
  const appended = await readHistogram(server, APPENDED);
  const after = await readHistogram(server, DELIVERY);
  return {
    ...measurement,
    appendedUs: quantileBetween(appendedBefore, appended, 0.5) * 1e6,
    writtenUs: quantileBetween(before, after, 0.5) * 1e6,
  };
}

function partsOf(lone: Delay, crowd: Delay): DelayParts {
  const { lateMs, requestMs } = lone.publisher;
  const [waitedUs, acknowledgedUs] = [lateMs.p50 * 1_000, requestMs.p50 * 1_000];
  const aloneUs = lone.subscribers.latencyUs.p50;
  const { measured, sampled } = crowd.subscribers;
  return {
    waitedUs,
    acknowledgedUs,
    deliveredUs: aloneUs - waitedUs - acknowledgedUs,
    // Timestamps are the producer's, made as it sends.
    appendedUs: lone.appendedUs - acknowledgedUs,
    turnAloneUs: lone.writtenUs - lone.appendedUs,
    socketUs: aloneUs - waitedUs - lone.writtenUs,
    turnsUs: crowd.subscribers.latencyUs.p50 - aloneUs,
    // Each turn writes once to each subscriber.
    turnUs: (crowd.serverCpuSeconds * 1e6) / (measured.writes / sampled),
  };
}

function print({ parts, lone, crowd }: KafkaLatency): void {
  const both = (name: string, show: (delay: Delay) => string): string[] => [
    name,
    show(lone),
    show(crowd),
  ];
  printTable([
    both("subscribers", ({ subscribers }) => String(subscribers.ok)),
    both("records/s", ({ publisher }) => publisher.ratePerSecond.toFixed(0)),
    both("deliveries/s", (delay) => figuresOf(delay).deliveriesPerSecond.toFixed(0)),
    both("delay p50", ({ subscribers }) => formatUs(subscribers.latencyUs.p50)),
    both("delay p90", ({ subscribers }) => formatUs(subscribers.latencyUs.p90)),
    both("delay p99", ({ subscribers }) => formatUs(subscribers.latencyUs.p99)),
    both("delay max", ({ subscribers }) => formatUs(subscribers.latencyUs.max)),
    both("written to the last of them p50", ({ writtenUs }) => formatUs(writtenUs)),
    both("acknowledged by Kafka p50", ({ publisher }) => `${publisher.requestMs.p50} ms`),
    both("acknowledged by Kafka p99", ({ publisher }) => `${publisher.requestMs.p99} ms`),
    both("cores of the server", (delay) => figuresOf(delay).cores.toFixed(2)),
    both("gaps", ({ subscribers }) => String(subscribers.gaps)),
    both("repeats", ({ subscribers }) => String(subscribers.repeats)),
    both("overtaken by another partition's", ({ subscribers }) => String(subscribers.reordered)),
  ]);
  console.log("\nWhere the time goes, medians:\n");
  printTable([
    ["the publisher's own lateness", formatUs(parts.waitedUs)],
    ["producer → Kafka → producer", formatUs(parts.acknowledgedUs)],
    ["fetched, stored, written to one, read by it", formatUs(parts.deliveredUs)],
    ["  of that until it is in the log", formatUs(parts.appendedUs)],
    ["  from the log to the write", formatUs(parts.turnAloneUs)],
    ["  from the write to the client", formatUs(parts.socketUs)],
    [`longer among ${crowd.subscribers.ok}`, formatUs(parts.turnsUs)],
    ["  CPU of one turn of writes", formatUs(parts.turnUs)],
  ]);
  warnOfOthers(Math.max(lone.othersCores, crowd.othersCores));
}

if (import.meta.main) await main();
