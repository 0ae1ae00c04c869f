import { measureCases } from "./cases.ts";
import { measureCompression } from "./compression.ts";
import { measureFanOut } from "./fanout.ts";
import { faultsOf } from "./figures.ts";
import { measureFlush } from "./flush.ts";
import { measureMost } from "./most.ts";
import { atMost, told } from "./outcome.ts";
import type { StepResult } from "./outcome.ts";
import { formatUs } from "./report.ts";
import { highestOf } from "./search.ts";
import { ratio, SHORT, sum } from "./short.ts";
import { measureTarget } from "./targets.ts";

/** As `fanout.ts`. */
export async function fanout(): Promise<StepResult> {
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

/** Two of the cases of `cases.ts`. */
export async function cases(): Promise<StepResult> {
  const settings = {
    ...SHORT,
    subscribers: 2_000,
    many: 2_000,
    group: 5,
    targeted: 2_000,
    largeSubscribers: 200,
    largeBytes: 100_000,
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

/** As `flush.ts`. */
export async function flush(): Promise<StepResult> {
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

/** As `most.ts`, in steps of two. */
export async function most(): Promise<StepResult> {
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

/** A channel, as in `targets.ts`. */
export async function targets(): Promise<StepResult> {
  const settings = { subscribers: 5_000, rate: 2_000, seconds: 4, idle: 2, warmup: 1 };
  const [alone, among] = await measureTarget("channel", settings);
  const times = among.cpuUsPerEvent / alone.cpuUsPerEvent;
  return {
    outcomes: [told("an event to one of 5,000 ÷ to the only one", times.toFixed(2))],
    faults: faultsOf(alone) + faultsOf(among),
  };
}

/** As `compression.ts`. */
export async function compression(): Promise<StepResult> {
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
