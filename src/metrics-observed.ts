import { Counter, Gauge, type Registry } from "prom-client";

/** Where gauges look when they are asked for. All of them answer at once, from memory. */
export interface Observed {
  /** Whether `/readyz` says so. */
  readonly isReady: () => boolean;
  /** Subscribers, by what they do: `Hub.activities`. */
  readonly activities: () => Readonly<Record<SubscriberState, number>>;
  /** What compresses streams; undefined where nothing does. */
  readonly gzip: () => { readonly inputBytes: number; readonly outputBytes: number } | undefined;
  /** The event log; undefined while there is none. */
  readonly log: () => ObservedLog | undefined;
  /** As in the Kafka status. Their topics are configured: strangers make none. */
  readonly partitions: () => readonly ObservedPartition[];
  /** Entries of the log that the aggregation has still to read. */
  readonly aggregationLag: () => number;
}

type SubscriberState = "waiting" | "reading" | "live";

interface ObservedLog {
  readonly heldBytes: number;
  readonly baseSeq: number;
  readonly headSeq: number;
}

interface ObservedPartition {
  readonly topic: string;
  readonly lag: number;
  /** Milliseconds since 1970. */
  readonly staleSince?: number;
}

/** What takes a gauge's values when Prometheus asks: only what is set then is shown. */
export type Collect = (set: (value: number, labels?: Record<string, string>) => void) => unknown;

export function addGauge(
  registry: Registry,
  how: { name: string; help: string; labelNames?: string[]; aggregator?: "min" },
  collect: Collect,
): Gauge {
  return new Gauge({
    ...how,
    registers: [registry],
    async collect() {
      this.reset();
      await collect((value, labels = {}) => this.set(labels, value));
    },
  });
}

export function addObservedGauges(registry: Registry, observed: Partial<Observed>): void {
  const gauge = (name: string, help: string, collect: Collect, ...labelNames: string[]): Gauge =>
    addGauge(registry, { name, help, labelNames }, collect);

  gauge("headgate_ready", "1 from when every topic has been read to its end", (set) =>
    set(observed.isReady?.() ? 1 : 0),
  );
  gauge(
    "sse_subscribers",
    "Subscribers that wait for the server, read the log, or are live",
    (set) => {
      const counts = observed.activities?.() ?? { waiting: 0, reading: 0, live: 0 };
      for (const [state, count] of Object.entries(counts)) set(count, { state });
    },
    "state",
  );
  gauge("headgate_log_bytes", "Bytes held in the local log", (set) =>
    set(observed.log?.()?.heldBytes ?? 0),
  );
  gauge("headgate_log_rows", "Entries held in the local log", (set) => {
    const { headSeq, baseSeq } = observed.log?.() ?? { headSeq: 0, baseSeq: 0 };
    set(headSeq - baseSeq);
  });
  const byTopic = (): [string, readonly ObservedPartition[]][] => [
    ...Map.groupBy(observed.partitions?.() ?? [], ({ topic }) => topic),
  ];
  gauge(
    "headgate_feed_lag_records",
    "Records that Kafka had when it last answered, and that are not read yet",
    (set) => {
      for (const [topic, partitions] of byTopic()) {
        const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0);
        set(lag, { topic });
      }
    },
    "topic",
  );
  gauge(
    "headgate_feed_stale_seconds",
    "For how long nothing has been heard of the topic's partition that is worst off",
    (set) => {
      const nowMs = Date.now();
      for (const [topic, partitions] of byTopic()) {
        const silentMs = partitions.map(({ staleSince }) => nowMs - (staleSince ?? nowMs));
        set(Math.max(0, ...silentMs) / 1_000, { topic });
      }
    },
    "topic",
  );
  gauge("headgate_aggregation_lag_records", "Entries not aggregated yet", (set) =>
    set(observed.aggregationLag?.() ?? 0),
  );
}

export function addGzipCounters(registry: Registry, observed: Partial<Observed>): void {
  const counter = (name: string, help: string, total: () => number): void => {
    let counted = 0;
    const made = new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        const now = total();
        made.inc(now - counted);
        counted = now;
      },
    });
  };
  counter("sse_gzip_input_bytes_total", "Bytes of streams before gzip", () => {
    return observed.gzip?.()?.inputBytes ?? 0;
  });
  counter("sse_gzip_output_bytes_total", "Bytes of streams after gzip", () => {
    return observed.gzip?.()?.outputBytes ?? 0;
  });
}
