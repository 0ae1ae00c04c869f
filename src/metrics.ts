import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Everything that is counted. Labels come from closed sets, so that hostile topics and types cannot make series. */
export interface Metrics {
  readonly registry: Registry;
  /** Open event streams; add and take away, as streams of several kinds count here. */
  readonly connectedClients: Gauge;
  readonly streamsOpened: Counter;
  /** Streams ended, by reason (`client`, `stalled`, and the reasons of `close`). */
  readonly streamsClosed: Counter<"reason">;
  /** Streams turned away before they began, by reason (`shutdown`, `overloaded`, `too-many-connections`). */
  readonly streamsShed: Counter<"reason">;
  /** Seconds from a stream's opening to its end. */
  readonly connectionDuration: Histogram;
  /** Streams that came with a position: `resumed`, or why it could not be honoured, as in `resets`. */
  readonly resumes: Counter<"result">;
  /** `reset` events, by reason. */
  readonly resets: Counter<"reason">;
  /** Pages of replay, by whether another subscriber's could be used (`hit`, `miss`). */
  readonly pageReads: Counter<"result">;
  readonly eventsSent: Counter;
  readonly bytesSent: Counter;
  /** Seconds from a live record's timestamp to when the last of its subscribers was written to. */
  readonly deliveryLatency: Histogram;
  /** Records that came into the log. */
  readonly recordsAppended: Counter;
  /** Records that became `skipped` events, by reason. */
  readonly recordsSkipped: Counter<"reason">;
  /** Record types that could not be shown as `event:` and were left out. */
  readonly typesLeftOut: Counter;
  /** Gaps found between Kafka and the log. */
  readonly gaps: Counter;
  /** Feed: readers suspended, by reason (`crash`, `metadata`, `watchdog`). */
  readonly feedRebuilds: Counter<"reason">;
  /** How often the feed had lost Kafka, and got it back. */
  readonly feedReconnects: Counter;
  /** Seconds for which the feed has waited for room in the log (disk full, read-only). */
  readonly feedHeld: Counter;
  /** Published events, by result (`ok`, `duplicate`, `timeout`, `failed`, `queue-full`). */
  readonly published: Counter<"result">;
  /** Seconds until a publish was durable, or failed; results as of `published`. */
  readonly publishDuration: Histogram<"result">;
  /** Requests answered, by the first digit of the status (`1xx` … `5xx`). */
  readonly requests: Counter<"status">;
  /** Requests answered with a problem, by its code (`errors.ts`). */
  readonly problems: Counter<"code">;
  /** Snapshots sent to dashboards, each counted once, however many look. */
  readonly dashboardUpdates: Counter;
  /** How often the event loop was held up, and for how many seconds in all: see `watchEventLoop`. */
  readonly stalls: Counter;
  readonly stallSeconds: Counter;
  /** 1, under labels that say what runs. */
  readonly buildInfo: Gauge<"version" | "bun" | "mode">;
  /** Says where the gauges look that are read only when Prometheus asks. May be called for one after the other. */
  observe(observed: Partial<Observed>): void;
}

/** Where gauges look when they are asked for. All of them answer at once, from memory. */
export interface Observed {
  /** Whether `/readyz` says so. */
  readonly isReady: () => boolean;
  /** Subscribers, by what they do: `Hub.activities`. */
  readonly activities: () => Readonly<Record<SubscriberState, number>>;
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

const RESET_REASONS = ["malformed", "recreated", "expired", "ahead", "lost", "lagged"];
const SHED_REASONS = ["shutdown", "overloaded", "too-many-connections"];
const CLOSE_REASONS = ["client", "stalled", "max-age", "token-expired", ...SHED_REASONS];
const PUBLISH_RESULTS = ["ok", "duplicate", "timeout", "failed", "queue-full"];

// Seconds.
const DELIVERY_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const PUBLISH_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const CONNECTION_BUCKETS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];

/** A set of metrics with a registry of its own: several servers may run in one process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  /**
   * `values` are there from the start, at 0: an alert on a series that begins with 1 sees no
   * increase, and misses the first time.
   */
  const labelled = <L extends string>(
    name: string,
    help: string,
    label: L,
    values: readonly string[] = [],
  ): Counter<L> => {
    const made = new Counter({ name, help, registers, labelNames: [label] });
    for (const value of values) made.labels(value).inc(0);
    return made;
  };
  const publishDuration = new Histogram({
    name: "headgate_publish_duration_seconds",
    help: "Time until a publish was durable, or failed",
    registers,
    labelNames: ["result"],
    buckets: PUBLISH_BUCKETS,
  });
  for (const result of PUBLISH_RESULTS) publishDuration.zero({ result });
  const observed: Partial<Observed> = {};
  addObservedGauges(registry, observed);
  addProcessMetrics(registry);
  return {
    registry,
    connectedClients: new Gauge({
      name: "sse_connected_clients",
      help: "Open event streams",
      registers,
    }),
    streamsOpened: counter("sse_streams_opened_total", "Event streams opened"),
    streamsClosed: labelled(
      "sse_streams_closed_total",
      "Event streams ended",
      "reason",
      CLOSE_REASONS,
    ),
    streamsShed: labelled(
      "sse_streams_shed_total",
      "Event streams turned away",
      "reason",
      SHED_REASONS,
    ),
    connectionDuration: new Histogram({
      name: "sse_connection_duration_seconds",
      help: "How long event streams were open when they ended",
      registers,
      buckets: CONNECTION_BUCKETS,
    }),
    resumes: labelled("sse_resumes_total", "Event streams that came with a position", "result", [
      "resumed",
      ...RESET_REASONS,
    ]),
    resets: labelled("sse_resets_total", "Reset events sent", "reason", RESET_REASONS),
    pageReads: labelled(
      "headgate_page_cache_reads_total",
      "Pages of replay, made anew or shared with others",
      "result",
      ["hit", "miss"],
    ),
    eventsSent: counter("sse_events_sent_total", "Events written to subscribers"),
    bytesSent: counter("sse_bytes_sent_total", "Bytes written to subscribers"),
    deliveryLatency: new Histogram({
      name: "headgate_delivery_latency_seconds",
      help: "From a record's timestamp to the write to the last of its live subscribers; a sample",
      registers,
      buckets: DELIVERY_BUCKETS,
    }),
    recordsAppended: counter("headgate_records_appended_total", "Records that came into the log"),
    recordsSkipped: labelled("headgate_records_skipped_total", "Records not shown", "reason", [
      "too-large",
      "undecodable",
    ]),
    typesLeftOut: counter("headgate_types_left_out_total", "Record types that cannot be shown"),
    gaps: counter("headgate_gaps_total", "Gaps between Kafka and the local log"),
    feedRebuilds: labelled("headgate_feed_rebuilds_total", "Kafka readers rebuilt", "reason", [
      "crash",
      "metadata",
      "watchdog",
    ]),
    feedReconnects: counter("headgate_feed_reconnects_total", "Times Kafka was lost and came back"),
    feedHeld: counter("headgate_feed_held_seconds_total", "Time the feed waited for the local log"),
    published: labelled(
      "headgate_published_total",
      "Events published over HTTP or in process",
      "result",
      PUBLISH_RESULTS,
    ),
    publishDuration,
    requests: labelled("headgate_http_requests_total", "Requests answered", "status", [
      "1xx",
      "2xx",
      "3xx",
      "4xx",
      "5xx",
    ]),
    problems: labelled("headgate_problems_total", "Requests answered with a problem", "code"),
    dashboardUpdates: counter("headgate_dashboard_updates_total", "Snapshots made for dashboards"),
    stalls: counter("headgate_event_loop_stalls_total", "Times the event loop was held up"),
    stallSeconds: counter(
      "headgate_event_loop_stall_seconds_total",
      "Time for which the event loop was held up",
    ),
    buildInfo: new Gauge({
      name: "headgate_build_info",
      help: "What runs",
      registers,
      labelNames: ["version", "bun", "mode"],
    }),
    observe: (more) => {
      Object.assign(observed, more);
    },
  };
}

/** What takes a gauge's values when Prometheus asks: only what is set then is shown. */
type Collect = (set: (value: number, labels?: Record<string, string>) => void) => unknown;

function addGauge(
  registry: Registry,
  { name, help, labelNames = [] }: { name: string; help: string; labelNames?: string[] },
  collect: Collect,
): Gauge {
  return new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      this.reset();
      await collect((value, labels = {}) => this.set(labels, value));
    },
  });
}

function addObservedGauges(registry: Registry, observed: Partial<Observed>): void {
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

/**
 * The process, under the names that Prometheus's clients use. Not by prom-client's
 * `collectDefaultMetrics`: on Bun its heap spaces, handles and garbage collections are empty, its
 * `process_heap_bytes` is JavaScriptCore's reserved address space (gigabytes), its version is that
 * of another runtime, and it holds the event loop up for tens of milliseconds.
 */
function addProcessMetrics(registry: Registry): void {
  const registers = [registry];
  let countedS = 0;
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time spent",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const spentS = (user + system) / 1e6;
      cpu.inc(spentS - countedS);
      countedS = spentS;
    },
  });
  const gauge = (name: string, help: string, collect: Collect): Gauge =>
    addGauge(registry, { name, help }, collect);

  const startedS = Date.now() / 1_000 - process.uptime();
  gauge("process_start_time_seconds", "When the process began, in seconds since 1970", (set) =>
    set(startedS),
  );
  gauge("process_resident_memory_bytes", "Resident memory", (set) =>
    set(process.memoryUsage.rss()),
  );
  gauge("headgate_heap_used_bytes", "JavaScript's heap", (set) =>
    set(process.memoryUsage().heapUsed),
  );
  const maxFiles = maxOpenFiles();
  if (maxFiles === undefined) return;
  gauge("process_open_fds", "Open file descriptors", async (set) => {
    const count = await openFiles().catch(() => undefined);
    // To count them may take one that is not to be had: the page is given all the same.
    if (count !== undefined) set(count);
  });
  gauge("process_max_fds", "Most file descriptors that may be open", (set) => set(maxFiles));
}

/** undefined where there is no procfs. */
function maxOpenFiles(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

async function openFiles(): Promise<number> {
  // Since Linux 6.2 the directory's size is their number. Before, they are counted, off the event
  // loop: that takes long where there are tens of thousands.
  const { size } = await stat("/proc/self/fd");
  return size > 0 ? size : (await readdir("/proc/self/fd")).length;
}

const LOOK_EVERY_MS = 100;
const STALL_MS = 100;

/**
 * Counts when the event loop was held up (by a long computation, a collection of garbage, or a
 * machine that has no time for us): a timer of 100 ms that comes at least 100 ms late.
 */
export function watchEventLoop({
  stalls,
  stallSeconds,
}: Pick<Metrics, "stalls" | "stallSeconds">): Disposable {
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const lateMs = nowMs - lastMs - LOOK_EVERY_MS;
    lastMs = nowMs;
    if (lateMs < STALL_MS) return;
    stalls.inc();
    stallSeconds.inc(lateMs / 1_000);
  }, LOOK_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
