import { EventEmitter } from "node:events";
import type { HeadgateError } from "../errors.ts";
import type { Checkpoints, TimeBlock } from "./checkpoints.ts";
import type { EntryTable, MarkedPlace } from "./entry-table.ts";
import type { LogView } from "./log-view.ts";
import type { Position, TopicPosition } from "./position.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** What a log is read from. */
export interface LogParts {
  readonly table: EntryTable;
  readonly checkpoints: Checkpoints;
  readonly view: LogView;
}

/**
 * Everything that may be asked of the log, in the process that writes it (`EventLog`) as in one that
 * only follows it (`FollowedLog`). It answers as of `headSeq`: entries beyond it are not shown.
 */
export abstract class ReadableLog implements Disposable {
  /**
   * `appended` after the log has gained entries, `trimmed` after it has let go of some. One listener
   * for `appended`: more would cost more than linear.
   */
  readonly events = new EventEmitter<{ appended: []; trimmed: [] }>();
  readonly #table: EntryTable;
  readonly #checkpoints: Checkpoints;
  readonly #view: LogView;

  constructor({ table, checkpoints, view }: LogParts) {
    this.#table = table;
    this.#checkpoints = checkpoints;
    this.#view = view;
  }

  /** What is held, in bytes as DATA_MAX_BYTES counts them. */
  abstract get heldBytes(): number;

  /** Why the log cannot be written; undefined while it can, or where it is only read. */
  abstract get fault(): HeadgateError | undefined;

  /** The entries after the last block that `blocksSince` knows of. */
  abstract openBlock(): { from: number; latest: ReadonlyMap<string, number> };

  /** The last entry's place; 0 where nothing ever came. */
  get headSeq(): number {
    return this.#view.headSeq;
  }

  /** The place after which entries are still held. */
  get baseSeq(): number {
    return this.#view.base.seq;
  }

  /** Where a topic stands at the head. */
  topic(name: string): TopicPosition | undefined {
    return this.#view.head.get(name);
  }

  /** The earliest position of a topic (under its present tag) after which everything is held. */
  floor(name: string): TopicPosition | undefined {
    return this.#view.floor(name);
  }

  /** Where every partition stood after the entry `seq`, between `baseSeq` and `headSeq`. */
  positionAt(seq: number): Position {
    return this.#view.positionAt(seq) ?? this.#checkpoints.stateAt(seq).snapshot();
  }

  /** Some of the entries after `seq`, in order: `limit` at most, and about `MAX_PAGE_BYTES`. */
  after(seq: number, limit: number): readonly StoredEntry[] {
    const { tail, headSeq } = this.#view;
    return tail.after(seq, limit) ?? this.#table.page("after", seq, limit, headSeq);
  }

  /** Some of the entries before `seq`, newest first: `limit` at most, and about `MAX_PAGE_BYTES`. */
  before(seq: number, limit: number): readonly StoredEntry[] {
    return this.#table.page("before", Math.min(seq, this.headSeq + 1), limit);
  }

  /** The record (or `skipped` entry) at these coordinates, of the topic's present incarnation; it may be newer than `headSeq`. */
  find(topic: string, partition: number, offset: number): StoredEntry | undefined {
    return this.#table.find(this.#current(topic), partition, offset);
  }

  /**
   * Where the records of one publish lie, by its mark's digest (`idempotency.ts`), of the topics'
   * present incarnations. Those newer than `headSeq` are among them: the sooner a repetition is
   * recognised, the better.
   */
  marked(digest: string): MarkedPlace[] {
    return this.#table
      .marked(digest)
      .filter(({ topic, tag }) => this.#view.head.get(topic)?.tag === tag);
  }

  /**
   * The place from which to read so as to miss nothing after `position`: just before the first
   * entry at or beyond it in any partition of the topics under their present tags.
   */
  seqBefore(position: Position): number {
    let seq = this.headSeq;
    for (const [topic, { tag, offsets }] of position) {
      const head = this.#view.head.get(topic);
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

  /** Blocks of entries that hold a timestamp of at least `ts`, oldest first; see `hub/history.ts`. */
  blocksSince(ts: number, afterSeq: number, limit: number): TimeBlock[] {
    return this.#checkpoints.blocksSince(ts, [afterSeq, this.headSeq], limit);
  }

  /** The lowest offset with a timestamp of at least `ts` among the entries after `from`, up to `to`. */
  firstSince(
    topic: string,
    partition: number,
    ts: number,
    [from, to]: readonly [from: number, to: number],
  ): number | undefined {
    const range = [from, Math.min(to, this.headSeq)] as const;
    return this.#table.firstSince(this.#current(topic), partition, ts, range);
  }

  [Symbol.dispose](): void {
    this.events.removeAllListeners();
  }

  #current(topic: string): { topic: string; tag: string } {
    return { topic, tag: this.#view.head.get(topic)?.tag ?? "" };
  }
}
