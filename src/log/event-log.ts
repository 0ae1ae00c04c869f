import type { Database } from "bun:sqlite";
import { EventEmitter } from "node:events";
import type { HeadgateError } from "../errors.ts";
import { type CheckpointPlace, Checkpoints } from "./checkpoints.ts";
import { logFault, openDatabase, startCheckpointer } from "./database.ts";
import type { LogEntry } from "./entry.ts";
import { EntryTable, type MarkedPlace } from "./entry-table.ts";
import { markTextOf } from "./idempotency.ts";
import { KeptState } from "./kept-state.ts";
import type { Position, TopicPosition } from "./position.ts";
import { placeEntry, type StoredEntry, storedBytes } from "./stored-entry.ts";
import { Tail } from "./tail.ts";
import { TopicStates } from "./topic-state.ts";

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
 * offset is stored once; `seq` has no holes between `firstSeq` and `headSeq` except where a
 * truncated partition's entries were removed; positions and entries are of one transaction, so
 * that they never disagree.
 */
export class EventLog implements Disposable {
  /** `appended` after each commit. The hub is the one listener: more would cost more than linear. */
  readonly events = new EventEmitter<{ appended: [] }>();
  /** What is kept beside the entries. */
  readonly kept: KeptState;
  readonly #path: string;
  readonly #db: Database;
  readonly #table: EntryTable;
  readonly #checkpoints: Checkpoints;
  readonly #tail: Tail;
  readonly #now: () => number;
  readonly #checkpointer: Worker | undefined;
  #head: TopicStates;
  #headSeq: number;
  #base: CheckpointPlace;
  #floors = new Map<string, TopicPosition>();
  #bytes: number;
  #lastArrivedMs = 0;
  #fault: HeadgateError | undefined;

  /** @throws HeadgateError `log-full`, `log-unwritable`, or `configuration` for a file of another version. */
  constructor({ path, durable, now = Date.now, tailBytes = 8 << 20 }: EventLogOptions) {
    this.#path = path;
    this.#now = now;
    this.#db = openDatabase({ path, durable });
    this.kept = new KeptState(this.#db, { path, durable });
    this.#table = new EntryTable(this.#db);
    this.#checkpoints = new Checkpoints(this.#db);
    this.#tail = new Tail(tailBytes);
    const { base, last } = this.#checkpoints.bounds();
    const rest = this.#table.sumAfter(last.seq);
    this.#base = base;
    this.#headSeq = rest?.seq ?? last.seq;
    this.#bytes = last.bytes + (rest?.bytes ?? 0);
    this.#lastArrivedMs = rest?.arrived ?? 0;
    this.#checkpoints.reload();
    this.#head = this.#checkpoints.stateAt(this.#headSeq);
    this.#reloadFloors(this.#checkpoints.stateAt(base.seq));
    this.#checkpointer = path === ":memory:" ? undefined : startCheckpointer(path);
  }

  /** The last entry's place; 0 where nothing ever came. */
  get headSeq(): number {
    return this.#headSeq;
  }

  /** The place after which entries are still held. */
  get baseSeq(): number {
    return this.#base.seq;
  }

  /** What is held, in bytes as DATA_MAX_BYTES counts them. */
  get heldBytes(): number {
    return this.#bytes - this.#base.bytes;
  }

  /** Why the last append failed; undefined once one has gone through again. */
  get fault(): HeadgateError | undefined {
    return this.#fault;
  }

  /** Where a topic stands at the head. */
  topic(name: string): TopicPosition | undefined {
    return this.#head.get(name);
  }

  /** The earliest position of a topic (under its present tag) after which everything is held. */
  floor(name: string): TopicPosition | undefined {
    return this.#floors.get(name);
  }

  /** Where every partition stood after the entry `seq`, between `baseSeq` and `headSeq`. */
  positionAt(seq: number): Position {
    if (seq === this.#headSeq) return this.#head.snapshot();
    return this.#checkpoints.stateAt(seq).snapshot();
  }

  /**
   * Stores entries in one transaction, and leaves out what lies below its partition's position (a
   * record read again), and what has been published before under the same idempotency key. Synced when it returns, if the log is durable.
   * @throws HeadgateError `log-full` or `log-unwritable`; then nothing of it is stored.
   */
  append(entries: readonly LogEntry[]): void {
    const head = new TopicStates(this.#head.snapshot());
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
        const seq = this.#headSeq + stored.length + 1;
        const placed = placeEntry(entry, { seq, tag, arrivedMs });
        const cut = this.#cutTruncated(placed, head);
        truncated ||= cut !== undefined;
        bytes -= cut ?? 0;
        this.#table.insert(placed);
        head.advance(placed);
        bytes += storedBytes(placed);
        stored.push(placed);
        this.#checkpoints.note(placed, head, bytes);
      }
      this.#db.run("COMMIT");
    } catch (error) {
      this.#rollBack();
      this.#fault = logFault(error, this.#path);
      throw this.#fault;
    }
    this.#fault = undefined;
    if (stored.length === 0) return;
    this.#head = head;
    this.#headSeq += stored.length;
    this.#bytes = bytes;
    this.#lastArrivedMs = arrivedMs;
    for (const entry of stored) {
      if (!truncated) this.#tail.push(entry);
      if (entry.offsets) this.#noteTopic(entry);
    }
    if (truncated) this.#tail.clear();
    this.events.emit("appended");
  }

  /** Some of the entries after `seq`, in order: `limit` at most, and about `MAX_PAGE_BYTES`. */
  after(seq: number, limit: number): readonly StoredEntry[] {
    return this.#tail.after(seq, limit) ?? this.#table.page("after", seq, limit);
  }

  /** Some of the entries before `seq`, newest first: `limit` at most, and about `MAX_PAGE_BYTES`. */
  before(seq: number, limit: number): readonly StoredEntry[] {
    return this.#table.page("before", seq, limit);
  }

  /** The record (or `skipped` entry) at these coordinates, of the topic's present incarnation. */
  find(topic: string, partition: number, offset: number): StoredEntry | undefined {
    return this.#table.find(this.#current(topic), partition, offset);
  }

  /** Where the records of one publish lie, by its mark's digest (`idempotency.ts`), of the topics' present incarnations. */
  marked(digest: string): MarkedPlace[] {
    return this.#table
      .marked(digest)
      .filter(({ topic, tag }) => this.#head.get(topic)?.tag === tag);
  }

  /**
   * The place from which to read so as to miss nothing after `position`: just before the first
   * entry at or beyond it in any partition of the topics under their present tags.
   */
  seqBefore(position: Position): number {
    let seq = this.#headSeq;
    for (const [topic, { tag, offsets }] of position) {
      const head = this.#head.get(topic);
      if (head?.tag !== tag) continue;
      for (const [partition, next] of head.offsets.entries()) {
        const offset = offsets[partition] ?? 0;
        if (offset >= next) continue;
        const first = this.#table.firstAt({ topic, tag }, partition, offset);
        if (first !== undefined) seq = Math.min(seq, first - 1);
      }
    }
    return seq;
  }

  /** Blocks of entries that hold a timestamp of at least `ts`; see `hub/history.ts`. */
  blocksSince(
    ...args: Parameters<Checkpoints["blocksSince"]>
  ): ReturnType<Checkpoints["blocksSince"]> {
    return this.#checkpoints.blocksSince(...args);
  }

  openBlock(): ReturnType<Checkpoints["openBlock"]> {
    return this.#checkpoints.openBlock();
  }

  /** The lowest offset with a timestamp of at least `ts` among the entries after `from`, up to `to`. */
  firstSince(
    topic: string,
    partition: number,
    ts: number,
    range: readonly [from: number, to: number],
  ): number | undefined {
    return this.#table.firstSince(this.#current(topic), partition, ts, range);
  }

  /**
   * Lets go of up to `limit` of the oldest entries, those that arrived before `arrivedBeforeMs`,
   * and those beyond `maxBytes`. Returns how many went: small steps, each its own transaction.
   */
  trim(
    { arrivedBeforeMs, maxBytes }: { arrivedBeforeMs: number; maxBytes: number },
    limit: number,
  ): number {
    const excess = this.heldBytes - maxBytes;
    let { seq, bytes } = this.#base;
    let removed = 0;
    for (const entry of this.#table.oldest(seq, limit)) {
      if (entry.arrived >= arrivedBeforeMs && bytes - this.#base.bytes >= excess) break;
      bytes += entry.size;
      seq = entry.seq;
      removed += 1;
    }
    if (removed === 0) return 0;
    try {
      this.#db.run("BEGIN IMMEDIATE");
      const state = this.#checkpoints.rebase({ seq, bytes });
      this.#table.removeUpTo(seq);
      this.#db.run("COMMIT");
      this.#base = { seq, bytes };
      this.#reloadFloors(state);
    } catch (error) {
      this.#rollBack();
      throw logFault(error, this.#path);
    }
    return removed;
  }

  [Symbol.dispose](): void {
    this.#checkpointer?.terminate();
    this.events.removeAllListeners();
    this.#db.close();
  }

  #current(topic: string): { topic: string; tag: string } {
    return { topic, tag: this.#head.get(topic)?.tag ?? "" };
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

  /** A topic begins (or grows) where its entry says. */
  #noteTopic(entry: StoredEntry): void {
    const offsets = entry.offsets ?? [];
    const floor = this.#floors.get(entry.topic);
    const known = floor?.tag === entry.tag ? floor.offsets : [];
    this.#floors.set(entry.topic, {
      tag: entry.tag,
      offsets: offsets.map((offset, partition) => known[partition] ?? offset),
    });
  }

  #reloadFloors(base: TopicStates): void {
    this.#floors = new Map(base.snapshot());
    for (const entry of this.#table.topicsAfter(this.#base.seq)) this.#noteTopic(entry);
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
