import { startKafka } from "../test/support/kafka.ts";
import { measureAggregate } from "./aggregate.ts";
import { measureCases } from "./cases.ts";
import { measureCompression } from "./compression.ts";
import { measureFanOut } from "./fanout.ts";
import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { measureFlush } from "./flush.ts";
import { measureKafkaLatency } from "./kafka-latency.ts";
import { measureMemory } from "./memory.ts";
import { measureMost } from "./most.ts";
import { atMost, told } from "./outcome.ts";
import type { StepResult } from "./outcome.ts";
import { measurePartitions } from "./partitions.ts";
import { formatUs } from "./report.ts";
import { highestOf } from "./search.ts";
import { measureStorm } from "./storm.ts";
import { measureTarget } from "./targets.ts";
import { measureThresholds } from "./thresholds.ts";
import { measureWorkers } from "./workers.ts";

/** A short version of each load program, by its name; the programs they need are built already. */
export const STEPS: Readonly<Record<string, () => Promise<StepResult>>> = {
  fanout,
  cases,
  flush,
  most,
  memory,
  targets,
  compression,
  workers,
  storm,
  aggregate,
  partitions,
  "kafka-latency": kafkaLatency,
  thresholds,
};

/** Of most steps: shorter than the programs' own, so that all of them take minutes. */
const SHORT = { warmup: 2, seconds: 4, drain: 1, bytes: 100, paceMs: 5, sample: 20 } as const;

async function fanout(): Promise<StepResult> {
  const load = { ...SHORT, subscribers: 5_000, rate: 1_000, sample: 50, publishing: 0 };
  const { headgate, floor } = (await measureFanOut(load)).summaries;
  return {
    outcomes: [
      told("fan-out, deliveries/s", headgate.deliveriesPerSecond.toFixed(0)),
      told("fan-out, CPU a delivery ÷ floor", ratio(headgate, floor, "cpuUsPerDelivery")),
      told("fan-out, CPU a write ÷ floor", ratio(headgate, floor, "cpuUsPerWrite")),
      told("fan-out, delay p99", formatUs(headgate.p99Us)),
    ],
    faults: faultsOf(headgate),
  };
}

async function cases(): Promise<StepResult> {
  const settings = {
    ...SHORT,
    subscribers: 2_000,
    many: 2_000,
    group: 5,
    targeted: 2_000,
    largeSubscribers: 200,
    largeBytes: 65_536,
    largeRate: 5,
    rate: 500,
    slowRate: 20,
    spreadRate: 1_000,
    publishing: 0,
    seconds: 3,
  };
  const rows = [
    ...(await measureCases(settings, "different subscriptions, an event to all")),
    ...(await measureCases(settings, "small groups")),
  ];
  return {
    outcomes: rows.map(({ name, beside, ratio: times }) =>
      told(`${name} ÷ ${beside}`, times.toFixed(2)),
    ),
    faults: sum(rows.map(({ ours }) => faultsOf(ours))),
  };
}

async function flush(): Promise<StepResult> {
  const [none, waiting] = await measureFlush({
    ...SHORT,
    subscribers: 1_000,
    rate: 1_000,
    interval: 10,
  });
  return {
    outcomes: [
      atMost("delay p99, 1,000 × 1,000/s", none.p99Us / 1_000, 15, " ms"),
      atMost("CPU with SSE_FLUSH_INTERVAL=10 ÷ 0", waiting.cores / none.cores, 0.7),
    ],
    faults: faultsOf(none) + faultsOf(waiting),
  };
}

async function most(): Promise<StepResult> {
  const { headgate, floor } = await measureMost({
    ...SHORT,
    subscribers: 2_000,
    first: 4_000,
    bisections: 0,
    seconds: 3,
    limitMs: 1_000,
  });
  const [ours, theirs] = [highestOf(headgate)?.result, highestOf(floor)?.result];
  const outcomes = [
    told("most deliveries/s of one core", ours?.deliveriesPerSecond.toFixed(0) ?? "none"),
    told("most deliveries/s of the floor", theirs?.deliveriesPerSecond.toFixed(0) ?? "none"),
  ];
  // Steps beyond what holds may end streams: that is what they look for.
  return { outcomes, faults: ours === undefined ? 1 : faultsOf(ours) };
}

async function memory(): Promise<StepResult> {
  const { idle, reading, stalled } = await measureMemory({
    idle: 5_000,
    subscribers: 500,
    stallPercent: 10,
    rate: 200,
    bytes: 500,
    seconds: 4,
    settle: 2,
  });
  const grown = stalled.afterKb - stalled.beforeKb - (reading.afterKb - reading.beforeKb);
  return {
    outcomes: [
      told("memory of an idle subscriber", `${idle.kbEach.toFixed(1)} KB`),
      told("memory for 50 that stall", `${(grown / 1_024).toFixed(1)} MB`),
    ],
    faults: reading.subscribers.gaps + stalled.subscribers.gaps,
  };
}

async function targets(): Promise<StepResult> {
  const settings = { subscribers: 5_000, rate: 2_000, seconds: 4, idle: 2, warmup: 1 };
  const [alone, among] = await measureTarget("channel", settings);
  const times = among.cpuUsPerEvent / alone.cpuUsPerEvent;
  return {
    outcomes: [told("an event to one of 5,000 ÷ to the only one", times.toFixed(2))],
    faults: faultsOf(alone) + faultsOf(among),
  };
}

async function compression(): Promise<StepResult> {
  const settings = { ...SHORT, subscribers: 2_000, slowRate: 20, rate: 500, seconds: 3 };
  const rows = await measureCompression(settings);
  return {
    outcomes: rows.flatMap(({ rate, bytesRatio, cpuRatio }) => [
      told(`gzip at ${rate}/s, bytes ÷ plain`, bytesRatio.toFixed(2)),
      told(`gzip at ${rate}/s, CPU ÷ plain`, cpuRatio.toFixed(2)),
    ]),
    faults: sum(rows.map(({ plain, gzip }) => faultsOf(plain) + faultsOf(gzip) + gzip.gzipErrors)),
  };
}

async function workers(): Promise<StepResult> {
  const settings = { ...SHORT, most: 2, subscribers: 2_000, rate: 200, idle: 2, seconds: 3 };
  const rows = await measureWorkers(settings);
  const [one, two] = rows;
  if (one === undefined || two === undefined) throw new Error("One and two workers are measured");
  return {
    outcomes: [
      told("2 workers, CPU a delivery ÷ 1 worker", ratio(two, one, "cpuUsPerDelivery")),
      told("2 workers, memory ÷ 1 worker", (two.rssMb / one.rssMb).toFixed(2)),
    ],
    faults: sum(rows.map(faultsOf)),
  };
}

async function storm(): Promise<StepResult> {
  const { sinceListeningMs, fresh, subscribers } = await measureStorm({
    subscribers: 2_000,
    events: 500,
    bytes: 100,
    spread: 1,
    workers: 1,
    gzip: 0,
    limit: 30,
    stop: "term",
  });
  return {
    outcomes: [
      told("storm: until the last of 2,000 is live", `${(sinceListeningMs / 1_000).toFixed(2)} s`),
      told("storm: a new client's first event, p99", `${fresh.firstEventMs.p99.toFixed(0)} ms`),
    ],
    faults: subscribers.gaps + subscribers.repeats + subscribers.away,
  };
}

async function aggregate(): Promise<StepResult> {
  const costs = await measureAggregate({ records: 50_000, rounds: 1 });
  const slowest = Math.max(...costs.map(({ countingUs }) => countingUs));
  const figure = (1e6 / slowest).toFixed(0);
  return { outcomes: [told("counted records/s of one core, at least", figure)], faults: 0 };
}

async function partitions(): Promise<StepResult> {
  await using kafka = await startKafka();
  const settings = { ...SHORT, counts: [1, 100], subscribers: 2_000, rate: 20, offset: 100 };
  const rows = await measurePartitions(settings, kafka);
  return {
    outcomes: rows
      .slice(1)
      .map((row) => atMost(`CPU a delivery, ${row.partitions} partitions ÷ 1`, row.ratio, 1.4)),
    faults: sum(rows.map(faultsOf)),
  };
}

async function kafkaLatency(): Promise<StepResult> {
  await using kafka = await startKafka();
  const settings = { ...SHORT, subscribers: 1_000, rate: 1_000, partitions: 3 };
  const { parts, lone, crowd } = await measureKafkaLatency(settings, kafka);
  return {
    outcomes: [
      told("producer to 1,000 subscribers, p50", formatUs(crowd.subscribers.latencyUs.p50)),
      told("producer to 1,000 subscribers, p99", formatUs(crowd.subscribers.latencyUs.p99)),
      told("  of that: Kafka acknowledges", formatUs(parts.acknowledgedUs)),
      told("  of that: fetch, store, one write", formatUs(parts.deliveredUs)),
      told("  of that: the turns for all others", formatUs(parts.turnsUs)),
    ],
    faults: faultsOf(figuresOf(lone)) + faultsOf(figuresOf(crowd)),
  };
}

async function thresholds(): Promise<StepResult> {
  const result = await measureThresholds({
    streams: 4_000,
    workers: 2,
    processes: 1,
    seconds: 5,
    rate: 1,
    bytes: 100,
    ramp: 2_000,
    gzip: 0,
    warmup: 2,
    drain: 1,
  });
  return {
    outcomes: result.thresholds.map(({ name, wanted, found, isMet }) => ({
      name: `4,000 streams, 2 workers: ${name}`,
      figure: found,
      target: wanted,
      isMet,
    })),
    faults: result.subscribers.gaps + result.subscribers.repeats,
  };
}

function ratio(ours: Figures, theirs: Figures, of: keyof Figures): string {
  return (ours[of] / theirs[of]).toFixed(2);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
