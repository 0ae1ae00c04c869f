import type { SubsystemName } from "./dashboard-data.ts";
import type { Observation } from "./observation.ts";
import { quantileMs } from "./quantile.ts";
import { type Reading, sum } from "./reading.ts";

/** Something that may be wrong, and how the server knows. */
export interface Rule {
  readonly name: string;
  /** Taken off the health score while it holds. */
  readonly points: number;
  /** What it is about. */
  readonly subsystem: SubsystemName;
  /** The subsystem does not work at all while it holds. */
  readonly isDown?: true;
  /** Somebody must see to it. Otherwise it is something that peers do, or that passes. */
  readonly isAlert: boolean;
  /** When it holds, for people. */
  readonly when: string;
  /** What to say; undefined: it does not hold. */
  readonly check: (seen: Observation) => string | undefined;
}

const MINUTE_MS = 60_000;

/** So far behind Kafka, readers notice. */
const MAX_LAG = 10_000;

/** A partition of which nothing has been heard for so long does not just pause. */
const MAX_STALE_MS = 10_000;

const MAX_LATENCY_MS = 1000;

/** Entries: some seconds of a busy log. */
const MAX_AGGREGATION_LAG = 10_000;

/**
 * What takes points off the health score, and which alerts there are. All of it is what the server
 * itself has counted in the time just past, so the same events always give the same score. Nothing
 * that a single stranger can do at will takes many points.
 */
export const HEALTH_RULES: readonly Rule[] = [
  {
    name: "stopping",
    points: 100,
    subsystem: "http",
    isDown: true,
    isAlert: false,
    when: "the server drains",
    check: ({ isStopping }) => (isStopping ? "The server is stopping" : undefined),
  },
  {
    name: "not-ready",
    points: 60,
    subsystem: "streams",
    isDown: true,
    isAlert: true,
    when: "`/readyz` says that something is missing",
    check: ({ missing }) =>
      missing.length > 0 ? `The server is not ready: ${some(missing)}` : undefined,
  },
  {
    name: "kafka-away",
    points: 40,
    subsystem: "feed",
    isDown: true,
    isAlert: true,
    when: "Kafka does not answer",
    check: ({ degraded, source }) => {
      if (!degraded.includes("kafka")) return undefined;
      const { lastError } = source.consumer;
      return `Kafka does not answer${lastError === undefined ? "" : `: ${lastError}`}`;
    },
  },
  {
    name: "disk",
    points: 40,
    subsystem: "log",
    isDown: true,
    isAlert: true,
    when: "the local log cannot be written (disk full, read-only)",
    check: ({ degraded }) =>
      degraded.includes("disk") ? "The local log cannot be written: look at DATA_DIR" : undefined,
  },
  {
    name: "records-lost",
    points: 20,
    subsystem: "feed",
    isAlert: true,
    when: "in the last minute, a gap was found between Kafka and the local log",
    check: ({ past }) =>
      told(
        past.growth(MINUTE_MS, ({ gaps }) => gaps),
        (n) => `${n} gaps between Kafka and the local log in the last minute`,
      ),
  },
  {
    name: "partitions-stale",
    points: 15,
    subsystem: "feed",
    isAlert: true,
    when: "nothing has been heard of a partition for 10 s, or it cannot be read",
    check: ({ source, nowMs }) => {
      const stale = source.consumer.partitions.filter(
        ({ staleSince = Infinity, lastError }) =>
          lastError !== undefined || nowMs - staleSince >= MAX_STALE_MS,
      );
      const [first] = stale;
      if (!first) return undefined;
      const reason = first.lastError === undefined ? "" : `: ${first.lastError}`;
      return `${stale.length} partitions are not read, the first is ${first.topic}/${first.partition}${reason}`;
    },
  },
  {
    name: "lag-growing",
    points: 15,
    subsystem: "feed",
    isAlert: true,
    when: "Kafka is more than 10,000 records ahead of the local log, and further than a minute ago",
    check: ({ past }) => {
      const growth = past.growth(MINUTE_MS, ({ lag }) => lag);
      return past.now.lag > MAX_LAG && growth > 0
        ? `Kafka is ${past.now.lag} records ahead, ${growth} more than a minute ago`
        : undefined;
    },
  },
  {
    name: "publisher-away",
    points: 15,
    subsystem: "publisher",
    isDown: true,
    isAlert: true,
    when: "the publisher does not reach every broker that it needs",
    check: ({ source: { mode, producer } }) =>
      mode === "kafka" && !producer.connected
        ? "Kafka cannot be reached to publish to all partitions"
        : undefined,
  },
  {
    name: "publish-failed",
    points: 15,
    subsystem: "publisher",
    isAlert: true,
    when: "in the last minute, events that were to be published failed, timed out or found the queue full",
    check: ({ past }) =>
      told(
        past.growth(MINUTE_MS, publishFailures),
        (n) => `${n} events could not be published in the last minute`,
      ),
  },
  {
    name: "delivery-slow",
    points: 10,
    subsystem: "streams",
    isAlert: true,
    when: "over the last minute, one delivery in a hundred took more than 1 s from the record's timestamp",
    check: ({ past }) => {
      const p99 = quantileMs(0.99, past.now.latency, past.ago(MINUTE_MS).latency);
      return p99 !== null && p99 > MAX_LATENCY_MS
        ? `One event in a hundred came later than ${Math.round(p99)} ms after its record in the last minute`
        : undefined;
    },
  },
  {
    name: "overloaded",
    points: 10,
    subsystem: "streams",
    isAlert: true,
    when: "in the last minute, streams were turned away because SSE_MAX_CONNECTIONS are open",
    check: ({ past }) =>
      told(
        past.growth(MINUTE_MS, ({ shed }) => shed["overloaded"] ?? 0),
        (n) => `${n} streams were turned away in the last minute: SSE_MAX_CONNECTIONS are open`,
      ),
  },
  {
    name: "loop-stalled",
    points: 10,
    subsystem: "http",
    isAlert: true,
    when: "in the last minute, the event loop was held up at least 3 times",
    check: ({ past }) => {
      const stalls = past.growth(MINUTE_MS, (reading) => reading.stalls);
      return stalls >= 3
        ? `The event loop was held up ${stalls} times in the last minute`
        : undefined;
    },
  },
  {
    name: "records-skipped",
    points: 5,
    subsystem: "feed",
    isAlert: true,
    when: "in the last minute, records came that cannot be shown (too large, undecodable)",
    check: ({ past }) =>
      told(
        past.growth(MINUTE_MS, ({ skipped }) => skipped),
        (n) => `${n} records of the last minute cannot be shown`,
      ),
  },
  {
    name: "streams-stalled",
    points: 5,
    subsystem: "streams",
    isAlert: false,
    when: "in the last minute, streams were cut because their peer took nothing",
    check: ({ past }) =>
      told(
        past.growth(MINUTE_MS, ({ closed }) => closed["stalled"] ?? 0),
        (n) => `${n} streams were cut in the last minute: nobody took their bytes`,
      ),
  },
  {
    name: "aggregation-behind",
    points: 5,
    subsystem: "aggregation",
    isAlert: true,
    when: "more than 10,000 entries of the log are not counted yet",
    check: ({ aggregationLag }) =>
      aggregationLag !== null && aggregationLag > MAX_AGGREGATION_LAG
        ? `${aggregationLag} entries of the log are not counted yet`
        : undefined,
  },
  {
    name: "dashboard-sections",
    points: 5,
    subsystem: "dashboard",
    isAlert: true,
    when: "the application's sections are old, or some of them are left out",
    check: ({ sectionFaults }) => (sectionFaults.length > 0 ? some(sectionFaults) : undefined),
  },
];

/** Events that did not become durable. */
function publishFailures({ published }: Reading): number {
  const { ok = 0, duplicate = 0 } = published;
  return sum(published) - ok - duplicate;
}

function told(count: number, message: (count: number) => string): string | undefined {
  return count > 0 ? message(count) : undefined;
}

/** What keeps a message short when there is much to say. */
const MAX_NAMED = 3;

function some(texts: readonly string[]): string {
  const more = texts.length - MAX_NAMED;
  return `${texts.slice(0, MAX_NAMED).join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}
