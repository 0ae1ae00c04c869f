import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { addGzipCounters, addObservedGauges, type Observed } from "./metrics-observed.ts";
import { addProcessMetrics } from "./metrics-process.ts";

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
  /** Before compression. */
  readonly bytesSent: Counter;
  /** Seconds from a live record's timestamp to when the last of its subscribers was written to. */
  readonly deliveryLatency: Histogram;
  /** Seconds from a record's timestamp to when it had been read from Kafka into the log. */
  readonly appendLatency: Histogram;
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
  /** Workers that had ended, and were replaced. */
  readonly workerRestarts: Counter;
  /** 1, under labels that say what runs. */
  readonly buildInfo: Gauge<"version" | "bun" | "mode">;
  /** Says where the gauges look that are read only when Prometheus asks. May be called for one after the other. */
  observe(observed: Partial<Observed>): void;
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
  addGzipCounters(registry, observed);
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
    bytesSent: counter("sse_bytes_sent_total", "Bytes sent to subscribers, before compression"),
    deliveryLatency: new Histogram({
      name: "headgate_delivery_latency_seconds",
      help: "From a record's timestamp to the write to the last of its live subscribers; a sample",
      registers,
      buckets: DELIVERY_BUCKETS,
    }),
    appendLatency: new Histogram({
      name: "headgate_append_latency_seconds",
      help: "From a record's timestamp to when it had been read from Kafka into the log; a sample",
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
    workerRestarts: counter("headgate_worker_restarts_total", "Workers that had to be replaced"),
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
