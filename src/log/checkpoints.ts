import type { Database } from "bun:sqlite";
import { KINDS, type StoredEntry } from "./stored-entry.ts";
import { TopicStates } from "./topic-state.ts";

/** Entries between two checkpoint rows: what a look-up of a position reads at most. */
const INTERVAL = 1000;

interface CheckpointRow {
  seq: number;
  state: string;
  bytes: number;
  max_ts: number;
  block: string;
}

export interface CheckpointPlace {
  readonly seq: number;
  /** All that was ever stored up to there, in bytes as DATA_MAX_BYTES counts them. */
  readonly bytes: number;
}

/** Entries after `from` up to `to`, and the latest timestamp in them by `topic~tag~partition`. */
export interface TimeBlock {
  readonly from: number;
  readonly to: number;
  readonly latest: Readonly<Record<string, number>>;
}

interface FoldRow {
  topic: string;
  tag: string;
  partition: number;
  offset: number;
  offsets: string | null;
  ts: number;
}

/**
 * Rows that say where every partition stood after some `seq`, how many bytes had come by then, and
 * the latest timestamp of each partition in the block of entries before it. From them any position
 * is found by reading at most `INTERVAL` entries, and a point in time by reading one block.
 */
export class Checkpoints {
  readonly #db: Database;
  /** The block after the last checkpoint: latest timestamp by `topic~tag~partition`. */
  #block = new Map<string, number>();
  #blockFrom = 0;
  #lastKey: { topic: string; tag: string; partition: number; key: string } | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Called for every entry in a transaction, after the state has moved past it. `isDue` makes a row
   * at once: where entries were removed, what an older row says of bytes and timestamps is too much.
   */
  note(entry: StoredEntry, state: TopicStates, bytes: number, isDue: boolean): void {
    if (entry.timestampMs >= 0) {
      const key = this.#keyOf(entry);
      const latest = this.#block.get(key);
      if (latest === undefined || latest < entry.timestampMs) {
        this.#block.set(key, entry.timestampMs);
      }
    }
    if (!isDue && entry.seq - this.#blockFrom < INTERVAL) return;
    this.#insert(entry.seq, state, bytes, this.#block);
    this.#block = new Map();
    this.#blockFrom = entry.seq;
  }

  /** Entries come in runs of one partition: a text for each would cost as much as all the rest here. */
  #keyOf({ topic, tag, partition }: StoredEntry): string {
    const last = this.#lastKey;
    if (last?.partition === partition && last.topic === topic && last.tag === tag) return last.key;
    const key = `${topic}~${tag}~${partition}`;
    this.#lastKey = { topic, tag, partition, key };
    return key;
  }

  #insert(seq: number, state: TopicStates, bytes: number, block: Map<string, number>): void {
    this.#db
      .query("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)")
      .run(
        seq,
        JSON.stringify(state),
        bytes,
        Math.max(-1, ...block.values()),
        JSON.stringify(Object.fromEntries(block)),
      );
  }

  /**
   * Reads the open block, up to `upTo`, again from the database: at the start, after a transaction
   * that failed, and where another process writes.
   */
  reload(upTo = Number.MAX_SAFE_INTEGER): void {
    const last = this.#lastBefore(upTo);
    this.#blockFrom = last.seq;
    this.#block = new Map();
    for (const row of this.#rows(last.seq, upTo)) {
      if (row.ts < 0) continue;
      const key = `${row.topic}~${row.tag}~${row.partition}`;
      this.#block.set(key, Math.max(this.#block.get(key) ?? -1, row.ts));
    }
  }

  /** Where every partition stood after the entry `seq`. */
  stateAt(seq: number): TopicStates {
    const checkpoint = this.#lastBefore(seq);
    const state = TopicStates.fromJSON(checkpoint.state);
    const newest = this.#newestRows(checkpoint.seq, seq);
    const rows = newest.some(({ kind }) => kind === KINDS.topic)
      ? this.#rows(checkpoint.seq, seq)
      : newest;
    for (const row of rows) {
      const offsets = row.offsets === null ? undefined : row.offsets.split(".").map(Number);
      state.advance({ ...row, offsets });
    }
    return state;
  }

  /** The oldest row's place. */
  base(): CheckpointPlace {
    const base = this.#db
      .query<CheckpointPlace, []>("SELECT seq, bytes FROM checkpoints ORDER BY seq LIMIT 1")
      .get();
    if (!base) throw new Error("The log holds no checkpoint");
    return base;
  }

  /** The place of the newest row at or before `seq`. */
  lastPlace(seq = Number.MAX_SAFE_INTEGER): CheckpointPlace {
    return this.#lastBefore(seq);
  }

  /** Makes `seq` the base: the oldest row. Part of the transaction that trims. */
  rebase({ seq, bytes }: CheckpointPlace): TopicStates {
    const state = this.stateAt(seq);
    this.#db.query("DELETE FROM checkpoints WHERE seq <= ?").run(seq);
    this.#insert(seq, state, bytes, new Map());
    return state;
  }

  /** Blocks that end after `after`, up to `upTo`, and hold a timestamp of at least `ts`; oldest first. */
  blocksSince(
    ts: number,
    [after, upTo]: readonly [after: number, upTo: number],
    limit: number,
  ): TimeBlock[] {
    return this.#db
      .query<
        { seq: number; block: string; previous: number | null },
        [number, number, number, number]
      >(
        `SELECT seq, block, (SELECT max(seq) FROM checkpoints p WHERE p.seq < c.seq) AS previous
         FROM checkpoints c WHERE seq > ? AND seq <= ? AND max_ts >= ? ORDER BY seq LIMIT ?`,
      )
      .all(after, upTo, ts, limit)
      .map((row) => ({
        from: row.previous ?? 0,
        to: row.seq,
        // The cast holds: only #insert writes this column.
        latest: JSON.parse(row.block) as Record<string, number>,
      }));
  }

  /** The entries after the last checkpoint, which no row describes yet. */
  openBlock(): { from: number; latest: ReadonlyMap<string, number> } {
    return { from: this.#blockFrom, latest: this.#block };
  }

  #lastBefore(seq: number): CheckpointRow {
    const row = this.#db
      .query<CheckpointRow, [number]>(
        "SELECT * FROM checkpoints WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
      )
      .get(seq);
    if (!row) throw new Error(`The log holds no checkpoint at or before seq ${seq}`);
    return row;
  }

  /**
   * Of each partition the newest entry only: an entry says where its partition stands, whatever came
   * before it. Not so where topics begin in between, whose entries are of no partition.
   */
  #newestRows(after: number, upTo: number): (FoldRow & { kind: number })[] {
    return this.#db
      .query<FoldRow & { kind: number }, [number, number]>(
        // The unary plus keeps it off the index of positions, which holds the whole log. Of a group
        // the other columns are those of the row with the maximum [sqlite.org/lang_select.html#bareagg].
        `SELECT t.name AS topic, t.tag AS tag, e.partition, e.offset, e.ts, e.kind, NULL AS offsets
         FROM (SELECT topic, partition, offset, ts, kind, max(seq) FROM entries
               WHERE seq > ? AND seq <= ? GROUP BY +topic, +partition) e
         JOIN topics t ON t.id = e.topic`,
      )
      .all(after, upTo);
  }

  #rows(after: number, upTo: number): FoldRow[] {
    return this.#db
      .query<FoldRow, [number, number]>(
        `SELECT t.name AS topic, t.tag AS tag, e.partition, e.offset, e.ts,
                CASE e.kind WHEN 4 THEN e.value END AS offsets
         FROM entries e JOIN topics t ON t.id = e.topic
         WHERE e.seq > ? AND e.seq <= ? ORDER BY e.seq`,
      )
      .all(after, upTo);
  }
}
