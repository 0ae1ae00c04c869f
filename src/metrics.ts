import { Counter, Gauge, Registry } from "prom-client";

/** Everything that is counted. Labels come from closed sets, so that hostile topics and types cannot make series. */
export interface Metrics {
  readonly registry: Registry;
  /** Feed: consumers rebuilt, by reason (`crash`, `metadata`, `watchdog`). */
  readonly feedRebuilds: Counter<"reason">;
  /** Records that became `skipped` events, by reason. */
  readonly recordsSkipped: Counter<"reason">;
  /** Gaps found between Kafka and the log. */
  readonly gaps: Counter;
  /** Record types that could not be shown as `event:` and were left out. */
  readonly typesLeftOut: Counter;
  /** Seconds for which the feed has waited for room in the log (disk full, read-only). */
  readonly feedHeld: Counter;
  readonly connectedClients: Gauge;
  readonly streamsOpened: Counter;
  /** Streams ended, by reason (`client`, `stalled`, and the reasons of `close`). */
  readonly streamsClosed: Counter<"reason">;
  /** Streams turned away before they began, by reason (`shutdown`, `overloaded`, `too-many-connections`). */
  readonly streamsShed: Counter<"reason">;
  /** Requests answered with a problem, by its code (`errors.ts`). */
  readonly problems: Counter<"code">;
  /** `reset` events, by reason. */
  readonly resets: Counter<"reason">;
  readonly eventsSent: Counter;
  readonly bytesSent: Counter;
  /** Published events, by result (`ok`, `duplicate`, `timeout`, `failed`, `queue-full`). */
  readonly published: Counter<"result">;
}

/** A set of metrics with a registry of its own: several servers may run in one process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const labelled = <L extends string>(name: string, help: string, label: L): Counter<L> =>
    new Counter({ name, help, registers, labelNames: [label] });
  return {
    registry,
    feedRebuilds: labelled("headgate_feed_rebuilds_total", "Kafka consumers rebuilt", "reason"),
    recordsSkipped: labelled("headgate_records_skipped_total", "Records not shown", "reason"),
    gaps: counter("headgate_gaps_total", "Gaps between Kafka and the local log"),
    typesLeftOut: counter("headgate_types_left_out_total", "Record types that cannot be shown"),
    feedHeld: counter("headgate_feed_held_seconds_total", "Time the feed waited for the local log"),
    connectedClients: new Gauge({
      name: "sse_connected_clients",
      help: "Open event streams",
      registers,
    }),
    streamsOpened: counter("sse_streams_opened_total", "Event streams opened"),
    streamsClosed: labelled("sse_streams_closed_total", "Event streams ended", "reason"),
    streamsShed: labelled("sse_streams_shed_total", "Event streams turned away", "reason"),
    problems: labelled("headgate_problems_total", "Requests answered with a problem", "code"),
    resets: labelled("sse_resets_total", "Reset events sent", "reason"),
    eventsSent: counter("sse_events_sent_total", "Events written to subscribers"),
    bytesSent: counter("sse_bytes_sent_total", "Bytes written to subscribers"),
    published: labelled(
      "headgate_published_total",
      "Events published over HTTP or in process",
      "result",
    ),
  };
}
