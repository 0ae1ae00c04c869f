import type { Metrics } from "../metrics.ts";
import type { Buckets } from "./quantile.ts";

/** What the server's counters say at one moment: totals since the start. Figures are differences of two of these. */
export interface Reading {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Monotonic, ms. */
  readonly atMs: number;
  /** Records that came into the log. */
  readonly arrived: number;
  /** Events written to subscribers. */
  readonly sent: number;
  readonly bytes: number;
  /** By result. */
  readonly published: Counts;
  readonly skipped: number;
  readonly gaps: number;
  readonly resets: number;
  readonly opened: number;
  /** Ended streams, by reason. */
  readonly closed: Counts;
  /** Streams that were turned away, by reason. */
  readonly shed: Counts;
  /** How often the event loop was held up. */
  readonly stalls: number;
  readonly latency: Buckets;
  /** Open now. */
  readonly connections: number;
  /** What Kafka has and the log has not, in records. */
  readonly lag: number;
}

export type Counts = Readonly<Record<string, number>>;

/** Reads the counters that `/metrics` shows, so that the dashboard's figures are those. O(series). */
export async function readCounters(
  metrics: Metrics,
  now: Pick<Reading, "timestamp" | "atMs" | "lag">,
): Promise<Reading> {
  const [arrived, sent, bytes, published, skipped, gaps, resets, opened, closed, shed, stalls] =
    await Promise.all(
      [
        metrics.recordsAppended,
        metrics.eventsSent,
        metrics.bytesSent,
        metrics.published,
        metrics.recordsSkipped,
        metrics.gaps,
        metrics.resets,
        metrics.streamsOpened,
        metrics.streamsClosed,
        metrics.streamsShed,
        metrics.stalls,
      ].map(countsOf),
    );
  return {
    ...now,
    arrived: sum(arrived),
    sent: sum(sent),
    bytes: sum(bytes),
    published: published ?? {},
    skipped: sum(skipped),
    gaps: sum(gaps),
    resets: sum(resets),
    opened: sum(opened),
    closed: closed ?? {},
    shed: shed ?? {},
    stalls: sum(stalls),
    latency: await bucketsOf(metrics.deliveryLatency),
    connections: sum(await countsOf(metrics.connectedClients)),
  };
}

/** All of a counter's series together. */
export function sum(counts: Counts = {}): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** What prom-client's metrics give: a value for each of their label values, which are closed sets. */
interface Readable {
  get(): Promise<{
    readonly values: readonly {
      readonly value: number;
      readonly labels: Readonly<Partial<Record<string, string | number>>>;
    }[];
  }>;
}

/** By the values of the labels; a metric without any has one, under an empty name. */
async function countsOf(metric: Readable): Promise<Counts> {
  const { values } = await metric.get();
  return Object.fromEntries(
    values.map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );
}

/** Prometheus counts in seconds, and each bucket holds those below it too. */
async function bucketsOf(histogram: Readable): Promise<Buckets> {
  const { values } = await histogram.get();
  // The sum and the count have no bound.
  const buckets = values.filter(({ labels }) => labels["le"] !== undefined);
  return {
    upToMs: buckets.map(({ labels }) =>
      labels["le"] === "+Inf" ? Infinity : Number(labels["le"]) * 1000,
    ),
    counts: buckets.map(({ value }) => value),
  };
}
