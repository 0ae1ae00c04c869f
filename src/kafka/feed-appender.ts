import { HeadgateError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { LogEntry } from "../log/entry.ts";
import type { EventLog } from "../log/event-log.ts";
import type { Metrics } from "../metrics.ts";

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

/** Beyond it lies no delay, but a start that reads what came long before. */
const LONGEST_LATENCY_MS = 60_000;

interface AppenderOptions {
  readonly log: EventLog;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Puts entries into the log, and holds the feed while the log has no room. */
export class FeedAppender {
  readonly #log: EventLog;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  #holding = 0;
  #isClosed = false;

  constructor({ log, logger, metrics }: AppenderOptions) {
    this.#log = log;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Whether something waits for room (disk full, file not writable). */
  get isHeld(): boolean {
    return this.#holding > 0;
  }

  /** Nothing is stored from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Resolves when the entries are stored, however long that takes, and to false when `isWanted`
   * no longer holds or all is closed: nothing of them is stored then.
   */
  async append(entries: readonly LogEntry[], isWanted = () => true): Promise<boolean> {
    if (this.#isClosed || !isWanted()) return false;
    if (this.#tryToAppend(entries)) return true;
    this.#holding += 1;
    try {
      for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
        await Bun.sleep(waitMs);
        // Two nodes' readers may wait at once: time is counted once.
        this.#metrics.feedHeld.inc(waitMs / 1_000 / this.#holding);
        if (this.#isClosed || !isWanted()) return false;
        if (this.#tryToAppend(entries)) return true;
      }
    } finally {
      this.#holding -= 1;
      if (!this.isHeld && !this.#isClosed) this.#logger.info("feed goes on");
    }
  }

  #tryToAppend(entries: readonly LogEntry[]): boolean {
    try {
      this.#log.append(entries);
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error;
      if (error.code !== "log-full" && error.code !== "log-unwritable") throw error;
      if (this.#holding === 0) this.#logger.error({ error: error.message }, "feed held by the log");
      return false;
    }
    let records = 0;
    let newestMs = -1;
    for (const entry of entries) {
      if (entry.kind === "record" || entry.kind === "skipped") {
        records += 1;
        newestMs = entry.timestampMs;
      }
      if (entry.kind === "skipped") this.#metrics.recordsSkipped.inc({ reason: entry.reason });
      if (entry.kind === "gap") this.#metrics.gaps.inc();
    }
    if (records > 0) this.#metrics.recordsAppended.inc(records);
    // Of each batch the newest: a sample, so that it costs nothing.
    if (newestMs >= 0) {
      const latencyMs = Date.now() - newestMs;
      if (latencyMs < LONGEST_LATENCY_MS) {
        this.#metrics.appendLatency.observe(Math.max(0, latencyMs) / 1_000);
      }
    }
    return true;
  }
}
