import type { Metrics } from "../metrics.ts";
import type { ResetReason } from "./reset.ts";
import type { EndReason } from "./subscriber.ts";

/** A turn of hundreds of events may not cost more than a look at so many. */
const MAX_SAMPLES = 64;

/** Beyond it lies no delay: somebody sends old records again, or sets what times he likes. */
const LONGEST_LATENCY_MS = 3_600_000;

/** Counts what happens to streams. Its methods can be passed on as they are. */
export class StreamCounts {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  opened(): void {
    this.#metrics.streamsOpened.inc();
    this.#metrics.connectedClients.inc();
  }

  ended(reason: EndReason, openMs: number): void {
    this.#metrics.streamsClosed.inc({ reason });
    this.#metrics.connectedClients.dec();
    this.#metrics.connectionDuration.observe(openMs / 1_000);
  }

  /** A stream that came with a position goes on from there, or is reset. */
  readonly resumed = (reset: ResetReason | undefined): void => {
    this.#metrics.resumes.inc({ result: reset ?? "resumed" });
  };

  readonly reset = (reason: ResetReason, subscribers: number): void => {
    this.#metrics.resets.inc({ reason }, subscribers);
  };

  readonly sent = ({ events, bytes }: { events: number; bytes: number }): void => {
    if (events > 0) this.#metrics.eventsSent.inc(events);
    this.#metrics.bytesSent.inc(bytes);
  };

  /** A page of replay was made, or had been made for another one of the group. */
  readonly page = (isCached: boolean): void => {
    this.#metrics.pageReads.inc({ result: isCached ? "hit" : "miss" });
  };

  readonly typeLeftOut = (): void => this.#metrics.typesLeftOut.inc();

  /**
   * A turn has written live events, of these timestamps (milliseconds since 1970, below 0: none),
   * to the last of their subscribers in a lane. Evenly picked ones stand for all.
   */
  readonly delivered = (timestampsMs: readonly number[]): void => {
    const nowMs = Date.now();
    const step = Math.ceil(timestampsMs.length / MAX_SAMPLES);
    for (let i = 0; i < timestampsMs.length; i += step) {
      const timestampMs = timestampsMs[i] ?? -1;
      if (timestampMs < 0) continue;
      // A producer's clock may be ahead of ours.
      const latencyMs = Math.min(Math.max(0, nowMs - timestampMs), LONGEST_LATENCY_MS);
      this.#metrics.deliveryLatency.observe(latencyMs / 1_000);
    }
  };
}
