import type { Observation } from "../../src/dashboard/observation.ts";
import { Past } from "../../src/dashboard/past.ts";
import type { Reading } from "../../src/dashboard/reading.ts";

/** What a second added to the totals, or to the buckets of the latency: ms, to how many. */
export type Second = Partial<
  Pick<Reading, "arrived" | "sent" | "bytes" | "skipped" | "gaps" | "resets" | "opened" | "stalls">
> & {
  readonly published?: Readonly<Record<string, number>>;
  readonly closed?: Readonly<Record<string, number>>;
  readonly shed?: Readonly<Record<string, number>>;
  readonly latenciesMs?: readonly number[];
  /** As they are then; they stay until another second says otherwise. */
  readonly connections?: number;
  readonly lag?: number;
};

const UP_TO_MS = [10, 100, 1000, 2500, Infinity];

const START: Reading = {
  timestamp: 1_800_000_000_000,
  atMs: 1000,
  arrived: 0,
  sent: 0,
  bytes: 0,
  published: {},
  skipped: 0,
  gaps: 0,
  resets: 0,
  opened: 0,
  closed: {},
  shed: {},
  stalls: 0,
  latency: { upToMs: UP_TO_MS, counts: UP_TO_MS.map(() => 0) },
  connections: 0,
  lag: 0,
  rssBytes: 1,
  heapBytes: 1,
};

/** One reading for each second, after one of a server that has just started. */
export function readingsOf(spent: readonly Second[]): Reading[] {
  const readings = [START];
  for (const second of spent) readings.push(after(readings.at(-1) ?? START, second));
  return readings;
}

/** A server that has been through these seconds, and of which nothing else is wrong. */
export function observe(spent: readonly Second[], changes: Partial<Observation> = {}): Observation {
  const readings = readingsOf(spent);
  const now = readings.at(-1) ?? START;
  return {
    nowMs: now.timestamp,
    isStopping: false,
    missing: [],
    degraded: [],
    source: {
      mode: "kafka",
      producer: { connected: true },
      consumer: { connected: true, groupId: "hidden", partitions: [] },
    },
    past: new Past(readings, now),
    aggregationLag: 0,
    sectionFaults: [],
    ...changes,
  };
}

/** So many seconds of which all are the same. */
export function seconds(count: number, second: Second = {}): Second[] {
  return Array.from({ length: count }, () => second);
}

function after(before: Reading, second: Second): Reading {
  const { latenciesMs = [] } = second;
  return {
    timestamp: before.timestamp + 1000,
    atMs: before.atMs + 1000,
    arrived: before.arrived + (second.arrived ?? 0),
    sent: before.sent + (second.sent ?? 0),
    bytes: before.bytes + (second.bytes ?? 0),
    skipped: before.skipped + (second.skipped ?? 0),
    gaps: before.gaps + (second.gaps ?? 0),
    resets: before.resets + (second.resets ?? 0),
    opened: before.opened + (second.opened ?? 0),
    stalls: before.stalls + (second.stalls ?? 0),
    published: added(before.published, second.published),
    closed: added(before.closed, second.closed),
    shed: added(before.shed, second.shed),
    latency: {
      upToMs: UP_TO_MS,
      counts: before.latency.counts.map(
        (count, i) => count + latenciesMs.filter((ms) => ms <= (UP_TO_MS[i] ?? 0)).length,
      ),
    },
    connections: second.connections ?? before.connections,
    lag: second.lag ?? before.lag,
    rssBytes: before.rssBytes,
    heapBytes: before.heapBytes,
  };
}

function added(
  counts: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const sums = { ...counts };
  for (const [name, count] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
