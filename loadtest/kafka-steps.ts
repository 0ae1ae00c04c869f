import { startKafka } from "../test/support/kafka.ts";
import { faultsOf, figuresOf } from "./figures.ts";
import { measureIngest } from "./ingest.ts";
import { measureKafkaLatency } from "./kafka-latency.ts";
import { atMost, told } from "./outcome.ts";
import type { StepResult } from "./outcome.ts";
import { measurePartitions } from "./partitions.ts";
import { formatUs } from "./report.ts";
import { SHORT, sum } from "./short.ts";
import { measureThresholds } from "./thresholds.ts";

/** As `partitions.ts`, with 1 and with 100. */
export async function partitions(): Promise<StepResult> {
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

/** As `kafka-latency.ts`. */
export async function kafkaLatency(): Promise<StepResult> {
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

/** As `thresholds.ts`, with few streams. */
export async function thresholds(): Promise<StepResult> {
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

/** As `ingest.ts`, with fewer records. */
export async function ingest(): Promise<StepResult> {
  await using kafka = await startKafka();
  const settings = { ...SHORT, records: 300_000, rate: 20_000, bytes: 200, partitions: 3 };
  const { catchingUp, paced } = await measureIngest(
    { ...settings, subscribers: 10, maxMib: 64 },
    kafka,
  );
  return {
    outcomes: [
      told("records/s from Kafka into the log", catchingUp.recordsPerSecond.toFixed(0)),
      told("  longest answer of /livez meanwhile", `${catchingUp.probe.answerMs.max} ms`),
    ],
    faults: faultsOf(figuresOf(paced)),
  };
}
