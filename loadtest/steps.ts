import { measureAggregate } from "./aggregate.ts";
import { cases, compression, fanout, flush, most, targets } from "./fan-out-steps.ts";
import { faultsOf } from "./figures.ts";
import { ingest, kafkaLatency, partitions, thresholds } from "./kafka-steps.ts";
import { measureMemory } from "./memory.ts";
import { told } from "./outcome.ts";
import type { StepResult } from "./outcome.ts";
import { ratio, SHORT, sum } from "./short.ts";
import { measureStorm } from "./storm.ts";
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
  ingest,
  partitions,
  "kafka-latency": kafkaLatency,
  thresholds,
};

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
