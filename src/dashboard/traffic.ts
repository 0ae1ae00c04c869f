import type { Aggregation, WindowFigures } from "../aggregate/aggregation.ts";
import type { SourceStatus } from "../log/source.ts";
import type { Activities } from "../hub/connections.ts";
import type { DashboardAggregation, DashboardWindow, Sample, Traffic } from "./dashboard-data.ts";
import type { Past } from "./past.ts";
import { quantileMs } from "./quantile.ts";
import type { Reading } from "./reading.ts";

const RATE_MS = 10_000;
const LATENCY_MS = 60_000;

/** Types of a window that are shown by name. */
const SHOWN_TYPES = 20;

/** Who is there, as the hub counts them. */
export interface Audience {
  readonly activities: Activities;
  readonly activeUsers: number;
}

interface TrafficOptions {
  readonly past: Past;
  readonly samples: readonly Sample[];
  readonly audience: Audience;
  /** Streams of the dashboard. */
  readonly watchers: number;
  readonly source: SourceStatus;
}

/** What goes in and out, from the counters' growth. */
export function trafficOf({ past, samples, audience, watchers, source }: TrafficOptions): Traffic {
  const { now } = past;
  const { waiting: starting, reading: behind, live } = audience.activities;
  const latencyMs = (q: number): number | null =>
    quantileMs(q, now.latency, past.ago(LATENCY_MS).latency);
  const [p50, p95, p99] = [latencyMs(0.5), latencyMs(0.95), latencyMs(0.99)];
  const perSecond = (of: (reading: Reading) => number): number =>
    round(past.perSecond(RATE_MS, of));
  return {
    connections: {
      open: starting + behind + live + watchers,
      byState: { starting, behind, live, dashboard: watchers },
      opened: now.opened,
      closed: now.closed,
      shed: now.shed,
      activeUsers: audience.activeUsers,
    },
    perSecond: {
      arrived: perSecond(({ arrived }) => arrived),
      published: perSecond(publishedOf),
      sent: perSecond(({ sent }) => sent),
      bytes: perSecond(({ bytes }) => bytes),
    },
    totals: {
      published: publishedOf(now),
      sent: now.sent,
      bytes: now.bytes,
      skipped: now.skipped,
    },
    latencyMs: p50 === null || p95 === null || p99 === null ? null : { p50, p95, p99 },
    lag: lagOf(source),
    recent: samples,
  };
}

/** What Kafka has and the log has not. O(partitions). */
export function lagOf({ consumer }: SourceStatus): Traffic["lag"] {
  const byTopic = new Map<string, number>();
  for (const { topic, lag } of consumer.partitions) {
    byTopic.set(topic, (byTopic.get(topic) ?? 0) + lag);
  }
  const records = [...byTopic.values()].reduce((total, lag) => total + lag, 0);
  return { records, byTopic: Object.fromEntries(byTopic) };
}

/** An aggregation as the dashboard shows it. O(types). */
export function shortened({ updatedAt, since, windows }: Aggregation): DashboardAggregation {
  return {
    updatedAt,
    since,
    windows: {
      "10s": shortenedWindow(windows["10s"]),
      "1m": shortenedWindow(windows["1m"]),
      "5m": shortenedWindow(windows["5m"]),
      "1h": shortenedWindow(windows["1h"]),
    },
  };
}

function shortenedWindow(window: WindowFigures): DashboardWindow {
  const { count, ratePerSecond, byTopic, truncated, fields } = window;
  const { other = 0, ...named } = window.byType;
  const types = Object.entries(named).toSorted(([, a], [, b]) => b - a);
  const rest = types.slice(SHOWN_TYPES).reduce((total, [, n]) => total + n, other);
  const byType = Object.fromEntries(types.slice(0, SHOWN_TYPES));
  return {
    count,
    ratePerSecond,
    byTopic,
    byType: rest > 0 ? { ...byType, other: rest } : byType,
    truncated,
    fields,
  };
}

/** Events that became durable, once each. */
function publishedOf({ published }: Reading): number {
  return published["ok"] ?? 0;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
