import type { Database } from "bun:sqlite";
import { HeadgateError } from "../errors.ts";
import { Checkpoints } from "./checkpoints.ts";
import { inOneRead, openReadOnly } from "./database.ts";
import { EntryTable } from "./entry-table.ts";
import { type LogReach, LogView } from "./log-view.ts";
import { hasReached, type Position } from "./position.ts";
import { ReadableLog } from "./readable-log.ts";
import type { StoredEntry } from "./stored-entry.ts";
import { TAIL_BYTES } from "./tail.ts";

export interface FollowedLogOptions {
  /** The file of a log that another process has open. */
  readonly path: string;
  /** Newest entries held in memory, in bytes (default 8 MiB). */
  readonly tailBytes?: number;
  /** Entries that one `refresh` reads at most (default 1,000). */
  readonly stepEntries?: number;
}

/** About five milliseconds' work, and no more than a page of the table in bytes. */
const STEP_ENTRIES = 1000;

/** What one step of `refresh` reads, in one transaction. */
interface Step {
  /** Where the base has moved. */
  readonly reach: LogReach | undefined;
  readonly entries: readonly StoredEntry[];
  readonly lastSeq: number;
}

/**
 * A log that another process writes, read beside it: it moves on only in `refresh`, which is to be
 * called after each of the writer's appends and trims.
 *
 * Between two of them its head, base, floors and states stay as they are, while entries may vanish
 * from the file under it. What has been trimmed there and not yet here is never passed over in
 * silence: whoever reads on before it gets nothing until the base has moved here too, and finds
 * then that it lags.
 */
export class FollowedLog extends ReadableLog {
  readonly #db: Database;
  readonly #table: EntryTable;
  readonly #checkpoints: Checkpoints;
  readonly #view: LogView;
  readonly #stepEntries: number;
  /** SQLite's count of other connections' commits when the file was last looked at. */
  #version: number | undefined;
  #isBehind = false;
  #openBlockSeq = -1;

  /** @throws HeadgateError `log-unwritable` where the file cannot be read. */
  constructor({ path, tailBytes = TAIL_BYTES, stepEntries = STEP_ENTRIES }: FollowedLogOptions) {
    const db = openReadOnly(path);
    const table = new EntryTable(db);
    const checkpoints = new Checkpoints(db);
    const view = inOneRead(db, () => {
      const seq = Math.max(table.lastSeq(), checkpoints.lastPlace().seq);
      const reach = reachOf(checkpoints, table, seq);
      return new LogView(tailBytes, reach, { seq, state: checkpoints.stateAt(seq) });
    });
    super({ table, checkpoints, view });
    this.#db = db;
    this.#table = table;
    this.#checkpoints = checkpoints;
    this.#view = view;
    this.#stepEntries = stepEntries;
  }

  /**
   * Takes in what has been committed since: a bounded number of entries, so that true says that
   * there are more. In between, too, the log stands where the writer's once stood, but for what was
   * truncated since: its gap is still to come. Emits `trimmed` and `appended`, each at most once.
   */
  refresh(): boolean {
    const version = this.#dataVersion();
    if (version === this.#version && !this.#isBehind) return false;
    const { headSeq, baseSeq } = this;
    const { reach, entries, lastSeq } = inOneRead(this.#db, () => this.#read());
    if (reach) this.#moveBase(reach);
    if (entries.length > 0) this.#take(entries);
    this.#version = version;
    this.#isBehind = this.headSeq < lastSeq;
    if (this.baseSeq !== baseSeq) this.events.emit("trimmed");
    if (this.headSeq !== headSeq) this.events.emit("appended");
    return this.#isBehind;
  }

  override get heldBytes(): number {
    return inOneRead(this.#db, () => {
      if (!this.#isHeldAfter(this.headSeq)) return 0;
      const last = this.#checkpoints.lastPlace(this.headSeq);
      const rest = this.#table.sumAfter(last.seq, this.headSeq);
      return last.bytes + (rest?.bytes ?? 0) - this.#view.base.bytes;
    });
  }

  override get fault(): undefined {
    return undefined;
  }

  override after(seq: number, limit: number): readonly StoredEntry[] {
    const held = this.#view.tail.after(seq, limit);
    if (held) return held;
    const entries = super.after(seq, limit);
    // Asked after the page was read: what has not been trimmed by now had not been then.
    return this.#isHeldAfter(seq) ? entries : [];
  }

  /**
   * As ever; where the place has been trimmed in the meantime, where every partition stood at `baseSeq`.
   * @throws HeadgateError `not-ready` where a partition has been truncated in the meantime.
   */
  override positionAt(seq: number): Position {
    const known = this.#view.positionAt(seq);
    if (known) return known;
    return inOneRead(this.#db, () => {
      if (!this.#isHeldAfter(seq)) return super.positionAt(this.baseSeq);
      if (this.#isTruncated()) {
        throw new HeadgateError("not-ready", "A partition has just been truncated; try again");
      }
      return super.positionAt(seq);
    });
  }

  /** As ever; where what follows the position may have been trimmed in the meantime, `baseSeq`: a reader there will find out. */
  override seqBefore(position: Position): number {
    const seq = super.seqBefore(position);
    return this.#isHeldAfter(this.baseSeq) || this.#isHeldFrom(position) ? seq : this.baseSeq;
  }

  /** Read from the file when asked. */
  override openBlock(): ReturnType<ReadableLog["openBlock"]> {
    const { headSeq } = this;
    if (this.#openBlockSeq !== headSeq) {
      const isRead = inOneRead(this.#db, () => {
        if (!this.#isHeldAfter(headSeq)) return false;
        this.#checkpoints.reload(headSeq);
        return true;
      });
      if (!isRead) return { from: headSeq, latest: new Map() };
      this.#openBlockSeq = headSeq;
    }
    return this.#checkpoints.openBlock();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#db.close();
  }

  /** Microseconds, and all that a `refresh` costs where nothing has changed. */
  #dataVersion(): number {
    const row = this.#db.query<{ data_version: number }, []>("PRAGMA data_version").get();
    return row?.data_version ?? -1;
  }

  #read(): Step {
    const base = this.#checkpoints.base();
    const headSeq = Math.max(this.headSeq, base.seq);
    return {
      reach:
        base.seq === this.baseSeq ? undefined : reachOf(this.#checkpoints, this.#table, headSeq),
      entries: this.#table.page("after", headSeq, this.#stepEntries),
      lastSeq: this.#table.lastSeq(),
    };
  }

  #moveBase(reach: LogReach): void {
    const { base, baseState } = reach;
    this.#view.moveBase(reach);
    // The writer is further than all that was read here: on from where its log begins now.
    if (base.seq > this.headSeq) {
      this.#view.tail.clear();
      this.#view.moveHead(base.seq, baseState, []);
    }
  }

  #take(entries: readonly StoredEntry[]): void {
    const state = this.#view.head.clone();
    let isCut = false;
    for (const entry of entries) {
      const next = state.get(entry.topic)?.offsets[entry.partition] ?? 0;
      isCut ||= entry.kind === "gap" && entry.offset + 1 < next;
      state.advance(entry);
    }
    this.#view.moveHead(entries.at(-1)?.seq ?? this.headSeq, state, entries);
    // A truncated partition's entries are gone from the file; the tail would still hold them.
    if (isCut) this.#view.tail.clear();
  }

  /**
   * Whether entries before the head were removed, and the gap that tells of it is still to come. A position that is made of
   * the others falls short of what was read once; and who reads on from there would take the gap that
   * tells of it for one that the subscriber knows.
   */
  #isTruncated(): boolean {
    const isUpToDate = !this.#isBehind && this.#dataVersion() === this.#version;
    if (isUpToDate || !this.#isHeldAfter(this.headSeq)) return false;
    const inFile = this.#checkpoints.stateAt(this.headSeq);
    const once = this.#view.head.snapshot();
    return [...once].some(([topic, part]) => !hasReached(inFile.get(topic), part));
  }

  /** Whether everything after `seq` that has not been removed for another reason is in the file still. */
  #isHeldAfter(seq: number): boolean {
    return this.#checkpoints.base().seq <= seq;
  }

  /** Whether the file has let go of nothing that follows the position, of topics under their present tags. */
  #isHeldFrom(position: Position): boolean {
    const { baseState } = inOneRead(this.#db, () => reachOf(this.#checkpoints, this.#table, 0));
    return [...position].every(([topic, part]) => {
      if (this.topic(topic)?.tag !== part.tag) return true;
      const base = baseState.get(topic);
      return base === undefined || hasReached(part, base);
    });
  }
}

/** How far the file reaches back, with the `topic` entries up to `upTo`. */
function reachOf(checkpoints: Checkpoints, table: EntryTable, upTo: number): LogReach {
  const base = checkpoints.base();
  return {
    base,
    baseState: checkpoints.stateAt(base.seq),
    topics: table.topicsAfter(base.seq, upTo),
  };
}
