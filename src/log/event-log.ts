import type { Database } from "bun:sqlite";
import type { HeadgateError } from "../errors.ts";
import { Checkpoints } from "./checkpoints.ts";
import { logFault, openDatabase, startCheckpointer } from "./database.ts";
import type { LogEntry } from "./entry.ts";
import { EntryTable } from "./entry-table.ts";
import { markTextOf } from "./idempotency.ts";
import { KeptState } from "./kept-state.ts";
import { LogView } from "./log-view.ts";
import { ReadableLog } from "./readable-log.ts";
import { placeEntry, type StoredEntry, storedBytes } from "./stored-entry.ts";
import { TAIL_BYTES } from "./tail.ts";
import type { TopicStates } from "./topic-state.ts";

export interface EventLogOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  /** Sync each commit to disk before `append` returns: for the embedded log, which is the store of record. */
  readonly durable: boolean;
  /** Milliseconds since 1970. Only goes into `arrivedMs`. */
  readonly now?: () => number;
  /** Newest entries held in memory, in bytes (default 8 MiB). */
  readonly tailBytes?: number;
}

/**
 * The instance's own store of recent entries, in the order in which it delivers them (`seq`).
 *
 * What it promises: an `append` is stored whole or not at all, whatever happens to the process; an
 * offset is stored once; `seq` has no holes between `baseSeq` and `headSeq` except where a
 * truncated partition's entries were removed; positions and entries are of one transaction, so
 * that they never disagree.
 */
export class EventLog extends ReadableLog {
  /** What is kept beside the entries. */
  readonly kept: KeptState;
  readonly #path: string;
  readonly #db: Database;
  readonly #table: EntryTable;
  readonly #checkpoints: Checkpoints;
  readonly #view: LogView;
  readonly #now: () => number;
  readonly #checkpointer: Worker | undefined;
  #bytes: number;
  #lastArrivedMs: number;
  #fault: HeadgateError | undefined;

  /** @throws HeadgateError `log-full`, `log-unwritable`, or `configuration` for a file of another version. */
  constructor({ path, durable, now = Date.now, tailBytes = TAIL_BYTES }: EventLogOptions) {
    const db = openDatabase({ path, durable });
    const table = new EntryTable(db);
    const checkpoints = new Checkpoints(db);
    const base = checkpoints.base();
    const last = checkpoints.lastPlace();
    const rest = table.sumAfter(last.seq);
    const seq = rest?.seq ?? last.seq;
    const reach = {
      base,
      baseState: checkpoints.stateAt(base.seq),
      topics: table.topicsAfter(base.seq),
    };
    const view = new LogView(tailBytes, reach, { seq, state: checkpoints.stateAt(seq) });
    super({ table, checkpoints, view });
    checkpoints.reload();
    this.kept = new KeptState(db, { path, durable });
    this.#path = path;
    this.#db = db;
    this.#table = table;
    this.#checkpoints = checkpoints;
    this.#view = view;
    this.#now = now;
    this.#bytes = last.bytes + (rest?.bytes ?? 0);
    this.#lastArrivedMs = rest?.arrived ?? 0;
    this.#checkpointer = path === ":memory:" ? undefined : startCheckpointer(path);
  }

  override get heldBytes(): number {
    return this.#bytes - this.#view.base.bytes;
  }

  /** Why the last append failed; undefined once one has gone through again. */
  override get fault(): HeadgateError | undefined {
    return this.#fault;
  }

  override openBlock(): ReturnType<ReadableLog["openBlock"]> {
    return this.#checkpoints.openBlock();
  }

  /**
   * Stores entries in one transaction, and leaves out what lies below its partition's position (a
   * record read again), and what has been published before under the same idempotency key. Synced when it returns, if the log is durable.
   * @throws HeadgateError `log-full` or `log-unwritable`; then nothing of it is stored.
   */
  append(entries: readonly LogEntry[]): void {
    const head = this.#view.head.clone();
    const stored: StoredEntry[] = [];
    const arrivedMs = Math.max(this.#now(), this.#lastArrivedMs);
    let bytes = this.#bytes;
    let truncated = false;
    try {
      this.#db.run("BEGIN IMMEDIATE");
      for (const given of entries) {
        if (!isNew(given, head)) continue;
        const entry = this.#withoutRepeats(given, head);
        const tag = entry.kind === "topic" ? entry.tag : (head.get(entry.topic)?.tag ?? "");
        const seq = this.headSeq + stored.length + 1;
        const placed = placeEntry(entry, { seq, tag, arrivedMs });
        const cut = this.#cutTruncated(placed, head);
        truncated ||= cut !== undefined;
        bytes -= cut ?? 0;
        this.#table.insert(placed);
        head.advance(placed);
        bytes += storedBytes(placed);
        stored.push(placed);
        this.#checkpoints.note(placed, head, bytes, cut !== undefined);
      }
      this.#db.run("COMMIT");
    } catch (error) {
      this.#rollBack();
      this.#fault = logFault(error, this.#path);
      throw this.#fault;
    }
    this.#fault = undefined;
    if (stored.length === 0) return;
    this.#bytes = bytes;
    this.#lastArrivedMs = arrivedMs;
    this.#view.moveHead(this.headSeq + stored.length, head, stored);
    // It would hold what was removed.
    if (truncated) this.#view.tail.clear();
    this.events.emit("appended");
  }

  /**
   * Lets go of up to `limit` of the oldest entries, those that arrived before `arrivedBeforeMs`,
   * and those beyond `maxBytes`. Returns how many went: small steps, each its own transaction.
   */
  trim(
    { arrivedBeforeMs, maxBytes }: { arrivedBeforeMs: number; maxBytes: number },
    limit: number,
  ): number {
    const { base } = this.#view;
    const excessBytes = this.heldBytes - maxBytes;
    const oldest = this.#table.oldest(base.seq, { arrivedBeforeMs, excessBytes }, limit);
    if (!oldest) return 0;
    const { seq } = oldest;
    const bytes = base.bytes + oldest.bytes;
    try {
      this.#db.run("BEGIN IMMEDIATE");
      const baseState = this.#checkpoints.rebase({ seq, bytes });
      this.#table.removeUpTo(seq);
      this.#db.run("COMMIT");
      this.#view.moveBase({
        base: { seq, bytes },
        baseState,
        topics: this.#table.topicsAfter(seq),
      });
    } catch (error) {
      this.#rollBack();
      throw logFault(error, this.#path);
    }
    this.events.emit("trimmed");
    return oldest.count;
  }

  override [Symbol.dispose](): void {
    this.#checkpointer?.terminate();
    super[Symbol.dispose]();
    this.#db.close();
  }

  /** A record whose mark its partition holds already only moves the partition on: nobody gets it. */
  #withoutRepeats(entry: LogEntry, head: TopicStates): LogEntry {
    if (entry.kind !== "record" && entry.kind !== "skipped") return entry;
    const mark = markTextOf(entry.headers);
    if (mark === undefined) return entry;
    const { topic, partition, offset } = entry;
    const of = { topic, tag: head.get(topic)?.tag ?? "" };
    if (!this.#table.holdsMark(of, partition, mark)) return entry;
    return { kind: "advance", topic, partition, next: offset + 1 };
  }

  /** A truncated partition gives its offsets again: the entries that had them go. Returns their bytes. */
  #cutTruncated(entry: StoredEntry, head: TopicStates): number | undefined {
    const next = head.get(entry.topic)?.offsets[entry.partition] ?? 0;
    if (entry.kind !== "gap" || entry.offset + 1 >= next) return undefined;
    return this.#table.cutBeyond(entry, entry.partition, entry.offset);
  }

  #rollBack(): void {
    if (this.#db.inTransaction) this.#db.run("ROLLBACK");
    this.#table.reload();
    this.#checkpoints.reload();
  }
}

/** Whether an entry says something that the state does not hold yet. */
function isNew(entry: LogEntry, head: TopicStates): boolean {
  const state = head.get(entry.topic);
  if (entry.kind === "topic") {
    return state?.tag !== entry.tag || state.offsets.length < entry.offsets.length;
  }
  const next = state?.offsets[entry.partition];
  if (next === undefined) {
    throw new Error(`Topic ${entry.topic} has no partition ${entry.partition} in the log`);
  }
  if (entry.kind === "gap") return entry.next !== next;
  return (entry.kind === "advance" ? entry.next : entry.offset + 1) > next;
}
