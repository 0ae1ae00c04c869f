import type { StoredEntry } from "../log/stored-entry.ts";
import type { Logger } from "../logger.ts";
import { toEvent } from "../sse/event.ts";
import type { Aggregation } from "./aggregation.ts";
import { DashboardSections } from "./dashboard-sections.ts";
import { type FieldReader, fieldReader, MAX_PARSED_BYTES } from "./field-numbers.ts";
import { type Changes, RollingWindows } from "./rolling-windows.ts";
import { formatPosition, parsePosition, POSITION, type SavedPosition } from "./saved-position.ts";

/** What is counted. */
export interface CountSettings {
  /** The served topics: their records are counted. */
  readonly topics: readonly string[];
  /** Paths into the JSON of a record's value whose numbers are summed up: `payload.times`, `items.0.price`. */
  readonly fields: readonly string[];
  /** Its records are the dashboard's sections. */
  readonly dashboardTopic: string | undefined;
  readonly logger: Logger;
}

/**
 * What was counted of the log, and up to where. It follows from the entries alone; stored and
 * restored it goes on as if nothing had been.
 */
export class Counts {
  readonly #topics: ReadonlySet<string>;
  readonly #readFields: FieldReader;
  readonly #hasFields: boolean;
  readonly #dashboardTopic: string | undefined;
  readonly #windows: RollingWindows;
  readonly #sections: DashboardSections;
  /** Stored names that mean nothing any more. */
  readonly #stale = new Set<string>();
  #seq: number;
  #sinceMs: number | undefined;

  /** Begins after an entry. `sinceMs` is from when on all is counted; undefined: from the arrival of the next entry. */
  constructor(
    settings: CountSettings,
    start: Pick<SavedPosition, "seq"> & Partial<SavedPosition>,
    stored: readonly (readonly [name: string, text: string])[] = [],
  ) {
    const { topics, fields, dashboardTopic, logger } = settings;
    const { seq, sinceMs, arrivedMs = 0, late = 0, future = 0 } = start;
    this.#topics = new Set(topics);
    this.#readFields = fieldReader(fields);
    this.#hasFields = fields.length > 0;
    this.#dashboardTopic = dashboardTopic;
    this.#seq = seq;
    this.#sinceMs = sinceMs;
    this.#windows = new RollingWindows(fields, { late, future });
    this.#sections = new DashboardSections(logger, dashboardTopic);
    for (const [name, text] of stored) {
      if (name === POSITION) continue;
      if (this.#windows.restore(name, text) || this.#sections.restore(name, text)) continue;
      this.#stale.add(name);
    }
    this.#windows.moveTo(arrivedMs);
  }

  /**
   * Goes on from what was stored; undefined where nothing was. Of topics that are served no more
   * the counts stay until they have rolled out: by type they cannot be told from the others.
   * @throws Error where it is damaged, or of another version.
   */
  static restore(
    settings: CountSettings,
    stored: readonly (readonly [name: string, text: string])[],
  ): Counts | undefined {
    const position = stored.find(([name]) => name === POSITION)?.[1];
    if (position === undefined) return undefined;
    return new Counts(settings, parsePosition(position), stored);
  }

  /** Entries up to this one are counted. */
  get seq(): number {
    return this.#seq;
  }

  /** Goes on after an entry, past some that are gone. */
  skipTo(seq: number): void {
    this.#seq = seq;
    this.#sinceMs = undefined;
  }

  /**
   * Counts the next entry; returns the bytes that were looked into. Only records are counted: a
   * `skipped` entry has no value and may have no type, and metrics count those; the other kinds
   * are no events. What a truncated partition takes back later has come all the same.
   */
  take(entry: StoredEntry): number {
    this.#seq = entry.seq;
    this.#sinceMs ??= entry.arrivedMs;
    if (entry.kind !== "record") return 0;
    if (entry.topic === this.#dashboardTopic) this.#sections.take(entry);
    if (!this.#topics.has(entry.topic)) return 0;
    const { topic, value } = entry;
    const type = toEvent(entry).type ?? "message";
    const measures = this.#readFields(value);
    this.#windows.count({ topic, type, measures }, entry);
    return this.#hasFields ? Math.min(value?.byteLength ?? 0, MAX_PARSED_BYTES) : 0;
  }

  /** A `yield` for each step of a turn; records may be counted in between. */
  *aggregationAt(nowMs: number): Generator<void, Aggregation, void> {
    const windows = yield* this.#windows.figuresAt(nowMs);
    const { late, future } = this.#windows;
    return { updatedAt: nowMs, since: this.#sinceMs ?? nowMs, late, future, windows };
  }

  sections(): Readonly<Record<string, unknown>> {
    return this.#sections.all();
  }

  /** What to store, changed since `markStored`. Nothing may be counted while this is read. */
  *changes(): Changes {
    // First: a stale name may have come to mean something again.
    for (const name of this.#stale) yield [name, undefined];
    const { late, future, lastArrivedMs: arrivedMs } = this.#windows;
    const sinceMs = this.#sinceMs ?? arrivedMs;
    yield [POSITION, formatPosition({ seq: this.#seq, arrivedMs, sinceMs, late, future })];
    yield* this.#windows.changes();
    yield* this.#sections.changes();
  }

  markStored(): void {
    this.#stale.clear();
    this.#windows.markStored();
    this.#sections.markStored();
  }

  /** Removes what was stored before with the next changes. */
  replace(stored: readonly (readonly [name: string, text: string])[]): void {
    for (const [name] of stored) this.#stale.add(name);
  }
}
