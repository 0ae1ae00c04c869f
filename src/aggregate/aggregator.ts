import type { FairTurns } from "../hub/fair-turns.ts";
import type { EventLog } from "../log/event-log.ts";
import type { Logger } from "../logger.ts";
import type { Aggregation } from "./aggregation.ts";
import { Counts, type CountSettings } from "./counts.ts";

export interface AggregatorOptions extends CountSettings {
  readonly log: EventLog;
  readonly turns: Pick<FairTurns, "add" | "run">;
  readonly now?: () => number;
  /** How often to look for new entries (default 100 ms). */
  readonly pollMs?: number;
  /** Between two saves (default 1 s): what a crash loses of it is counted again from the log. */
  readonly saveMs?: number;
}

/** Entries that are counted in one step of a turn, and bytes of them that are looked into: a millisecond's work or two. */
const STEP_ENTRIES = 500;
const STEP_BYTES = 128 << 10;

/** A save that took a millisecond is not followed by another for twenty: no more than 5% of a core goes into them. */
const REST = 20;

/**
 * Counts what comes into the log, for the status, the metrics and the dashboard.
 *
 * It follows the log and not Kafka: the log has dropped repeated publishes already, and one way
 * serves with Kafka and without. What it has counted is stored with how far it has read, in one
 * transaction, so that after a crash each entry is in it exactly once.
 */
export class Aggregator implements Disposable {
  readonly #log: EventLog;
  readonly #turns: Pick<FairTurns, "add" | "run">;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly #saveMs: number;
  readonly #counts: Counts;
  /** The work under way, a `yield` for each step of a turn. While it saves, nothing is counted. */
  #round: Generator<void, void, void> | undefined;
  #answering: Promise<Aggregation> | undefined;
  readonly #stopping = new AbortController();
  #savedSeq: number;
  #nextSaveMs = 0;
  #isSaveFailing = false;
  #isReadFailing = false;
  #hasSkipped = false;

  constructor(options: AggregatorOptions) {
    const { log, turns, logger, now = Date.now, pollMs = 100, saveMs = 1_000 } = options;
    this.#log = log;
    this.#turns = turns;
    this.#logger = logger;
    this.#now = now;
    this.#saveMs = saveMs;
    this.#counts = this.#restore(options);
    this.#savedSeq = this.#counts.seq;
    this.#timer = setInterval(() => this.#look(), pollMs);
  }

  /**
   * What has come in the time just past, less what is not counted yet (`lag`). Worked out in turns,
   * and once for all who ask meanwhile: cheap, however often it is asked. Rejects when it stops.
   */
  current(): Promise<Aggregation> {
    this.#answering ??= this.#turns
      .run(this.#counts.aggregationAt(this.#now()), this.#stopping.signal)
      .finally(() => (this.#answering = undefined));
    return this.#answering;
  }

  /** The dashboard's sections, by name: what `dashboardTopic` said last of each. */
  sections(): Readonly<Record<string, unknown>> {
    return this.#counts.sections();
  }

  /** Entries of the log that are not counted yet. */
  lag(): number {
    return this.#log.headSeq - Math.max(this.#counts.seq, this.#log.baseSeq);
  }

  /** Saves, and stops. Before the log is disposed of. */
  [Symbol.dispose](): void {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    clearInterval(this.#timer);
    // What of a save is under way is begun again: nothing of it is stored yet.
    if (this.#counts.seq !== this.#savedSeq) for (const _ of this.#save());
  }

  #restore(settings: CountSettings): Counts {
    const log = this.#log;
    const stored = log.kept.all();
    try {
      const counts = Counts.restore(settings, stored);
      if (counts && counts.seq <= log.headSeq) return counts;
      if (counts) throw new Error(`It is at entry ${counts.seq} of a log of ${log.headSeq}`);
    } catch (error) {
      this.#logger.error(
        { reason: error instanceof Error ? error.name : "unknown" },
        "stored aggregation could not be read and is begun anew",
      );
    }
    const isEmpty = log.headSeq === log.baseSeq;
    const start = { seq: log.baseSeq, ...(isEmpty && { sinceMs: this.#now() }) };
    const counts = new Counts(settings, start);
    counts.replace(stored);
    return counts;
  }

  #look(): void {
    const isBehind = this.#counts.seq < this.#log.headSeq;
    if (this.#round || !(isBehind || this.#isSaveDue())) return;
    this.#round = this.#work();
    this.#turns.add(() => this.#step());
  }

  /** One step of a turn. True: there is more. */
  #step(): boolean {
    if (this.#stopping.signal.aborted) return false;
    try {
      if (!this.#round?.next().done) return true;
      this.#isReadFailing = false;
    } catch (error) {
      // The next look tries again.
      if (!this.#isReadFailing) this.#logger.error({ err: error }, "log could not be aggregated");
      this.#isReadFailing = true;
    }
    this.#round = undefined;
    return false;
  }

  *#work(): Generator<void, void, void> {
    while (this.#counts.seq < this.#log.headSeq) {
      this.#skipTrimmed();
      if (!this.#count()) return;
      yield;
      if (this.#isSaveDue()) yield* this.#save();
    }
    if (this.#isSaveDue()) yield* this.#save();
  }

  /** Whether there was something to count. */
  #count(): boolean {
    const entries = this.#log.after(this.#counts.seq, STEP_ENTRIES);
    let bytes = 0;
    for (const entry of entries) {
      bytes += this.#counts.take(entry);
      if (bytes > STEP_BYTES) break;
    }
    return entries.length > 0;
  }

  /** Retention has passed what is not counted yet. */
  #skipTrimmed(): void {
    const { baseSeq } = this.#log;
    const missed = baseSeq - this.#counts.seq;
    if (missed <= 0) return;
    this.#counts.skipTo(baseSeq);
    if (this.#hasSkipped) return;
    this.#hasSkipped = true;
    this.#logger.warn({ missed }, "entries left the log before they were aggregated");
  }

  #isSaveDue(): boolean {
    return this.#counts.seq !== this.#savedSeq && performance.now() >= this.#nextSaveMs;
  }

  *#save(): Generator<void, void, void> {
    const startedMs = performance.now();
    const { seq } = this.#counts;
    const changes: (readonly [string, string | undefined])[] = [];
    for (const change of this.#counts.changes()) {
      changes.push(change);
      yield;
    }
    try {
      this.#log.kept.write(changes);
      this.#counts.markStored();
      this.#savedSeq = seq;
      this.#isSaveFailing = false;
    } catch (error) {
      // It is tried again; until then a restart counts more of the log again.
      if (!this.#isSaveFailing)
        this.#logger.error({ err: error }, "aggregation could not be saved");
      this.#isSaveFailing = true;
    }
    const doneMs = performance.now();
    this.#nextSaveMs = doneMs + Math.max(this.#saveMs, (doneMs - startedMs) * REST);
  }
}
