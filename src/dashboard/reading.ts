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
  /** Of all processes. */
  readonly rssBytes: number;
  readonly heapBytes: number;
}

export type Counts = Readonly<Record<string, number>>;

/** Reads the counters that `/metrics` shows, so that the dashboard's figures are those. O(series). */
export async function readCounters(
  registry: Metrics["registry"],
  now: Pick<Reading, "timestamp" | "atMs" | "lag">,
): Promise<Reading> {
  const countsOf = async (name: string): Promise<Counts> =>
    countsIn(await valuesOf(registry, name));
  const [arrived, sent, bytes, published, skipped, gaps, resets, opened, closed, shed, stalls] =
    await Promise.all(
      [
        "headgate_records_appended_total",
        "sse_events_sent_total",
        "sse_bytes_sent_total",
        "headgate_published_total",
        "headgate_records_skipped_total",
        "headgate_gaps_total",
        "sse_resets_total",
        "sse_streams_opened_total",
        "sse_streams_closed_total",
        "sse_streams_shed_total",
        "headgate_event_loop_stalls_total",
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
    latency: bucketsIn(await valuesOf(registry, "headgate_delivery_latency_seconds")),
    connections: sum(await countsOf("sse_connected_clients")),
    rssBytes: sum(await countsOf("process_resident_memory_bytes")),
    heapBytes: sum(await countsOf("headgate_heap_used_bytes")),
  };
}

/** All of a counter's series together. */
export function sum(counts: Counts = {}): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** What prom-client's metrics give: a value for each of their label values, which are closed sets. */
type MetricValues = readonly {
  readonly value: number;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
}[];

async function valuesOf(registry: Metrics["registry"], name: string): Promise<MetricValues> {
  const metric = registry.getSingleMetric(name);
  if (!metric) throw new Error(`There is no metric ${name}`);
  return (await metric.get()).values;
}

/** By the values of the labels; a metric without any has one, under an empty name. */
function countsIn(values: MetricValues): Counts {
  return Object.fromEntries(
    values.map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );
}

/** Prometheus counts in seconds, and each bucket holds those below it too. */
function bucketsIn(values: MetricValues): Buckets {
  // The sum and the count have no bound.
  const buckets = values.filter(({ labels }) => labels["le"] !== undefined);
  return {
    upToMs: buckets.map(({ labels }) =>
      labels["le"] === "+Inf" ? Infinity : Number(labels["le"]) * 1000,
    ),
    counts: buckets.map(({ value }) => value),
  };
}
