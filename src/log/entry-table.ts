import type { Database, Statement } from "bun:sqlite";
import { markTextOf, parseMark } from "./idempotency.ts";
import {
  type EntryRow,
  fromRow,
  KINDS,
  type StoredEntry,
  storedBytes,
  toColumns,
} from "./stored-entry.ts";

/** What a page may bring into memory at once, beyond its first entry. */
const MAX_PAGE_BYTES = 1 << 20;

const SELECT = `SELECT e.seq, e.kind, t.name, t.tag, e.partition, e.offset, e.arrived, e.ts, e.ts_type, e.key, e.value, e.headers
  FROM entries e JOIN topics t ON t.id = e.topic`;

/** One incarnation of a topic. */
interface Incarnation {
  readonly topic: string;
  readonly tag: string;
}

/** Where a marked record lies, and which event of its publish it is. */
export interface MarkedPlace extends Incarnation {
  readonly partition: number;
  readonly offset: number;
  readonly index: number;
  readonly count: number;
}

/** The tables `entries` and `topics`: statements, and nothing that is remembered but the topics' numbers. */
export class EntryTable {
  readonly #db: Database;
  readonly #topicIds = new Map<string, number>();
  /** The one that was asked for last: entries come in runs of one topic. */
  #lastId: (Incarnation & { readonly id: number }) | undefined;
  #insert: Statement | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.reload();
  }

  /** After a rollback: a topic that the failed transaction made has no row now. */
  reload(): void {
    this.#topicIds.clear();
    this.#lastId = undefined;
    const topics = this.#db
      .query<{ id: number; name: string; tag: string }, []>("SELECT id, name, tag FROM topics")
      .all();
    for (const { id, name, tag } of topics) this.#topicIds.set(`${name}~${tag}`, id);
  }

  insert(entry: StoredEntry): void {
    let id = this.#idOf(entry);
    if (id < 0) {
      this.#db.query("INSERT INTO topics (name, tag) VALUES (?, ?)").run(entry.topic, entry.tag);
      id = this.#idOf(entry);
    }
    // Not asked of the connection's cache by its text: this is the path of every record.
    this.#insert ??= this.#db.query(
      "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    const [timestampMs, timestampType, key, value, headers] = toColumns(entry);
    this.#insert.run(
      entry.seq,
      KINDS[entry.kind],
      id,
      entry.partition,
      entry.offset,
      entry.arrivedMs,
      storedBytes(entry),
      timestampMs,
      timestampType,
      key,
      value,
      headers,
      markTextOf(entry.headers) ?? null,
    );
  }

  /** Some of the entries after (or, newest first, before) `seq`, none beyond `upTo`: `limit` at most, and about `MAX_PAGE_BYTES`. */
  page(
    where: "after" | "before",
    seq: number,
    limit: number,
    upTo = Number.MAX_SAFE_INTEGER,
  ): StoredEntry[] {
    const condition =
      where === "after" ? "e.seq > ?1 AND e.seq <= ?2" : "e.seq < ?1 AND e.seq <= ?2";
    const order = where === "after" ? "ASC" : "DESC";
    // Sizes first: a page of large records must not come into memory whole to be cut afterwards.
    const sizes = this.#db
      .query<{ seq: number; size: number }, [number, number, number]>(
        `SELECT seq, size FROM entries e WHERE ${condition} ORDER BY seq ${order} LIMIT ?3`,
      )
      .all(seq, upTo, limit);
    let bytes = 0;
    let count = 0;
    for (const { size } of sizes) {
      bytes += size;
      if (count > 0 && bytes > MAX_PAGE_BYTES) break;
      count += 1;
    }
    return this.#db
      .query<EntryRow, [number, number, number]>(
        `${SELECT} WHERE ${condition} ORDER BY e.seq ${order} LIMIT ?3`,
      )
      .all(seq, upTo, count)
      .map(fromRow);
  }

  /** The record (or `skipped` entry) at these coordinates. */
  find(of: Incarnation, partition: number, offset: number): StoredEntry | undefined {
    const row = this.#db
      .query<EntryRow, [number, number, number]>(
        `${SELECT} WHERE e.topic = ? AND e.partition = ? AND e.offset = ? AND e.kind <= 1`,
      )
      .get(this.#idOf(of), partition, offset);
    return row ? fromRow(row) : undefined;
  }

  /** The place of the first entry of a partition at or beyond an offset. */
  firstAt(of: Incarnation, partition: number, offset: number): number | undefined {
    return this.#db
      .query<{ seq: number }, [number, number, number]>(
        "SELECT seq FROM entries WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset, seq LIMIT 1",
      )
      .get(this.#idOf(of), partition, offset)?.seq;
  }

  /** The lowest offset with a timestamp of at least `ts` among the entries after `from`, up to `to`. */
  firstSince(
    of: Incarnation,
    partition: number,
    ts: number,
    [from, to]: readonly [from: number, to: number],
  ): number | undefined {
    return (
      this.#db
        .query<{ offset: number | null }, [number, number, number, number, number]>(
          "SELECT min(offset) AS offset FROM entries WHERE seq > ? AND seq <= ? AND topic = ? AND partition = ? AND ts >= ?",
        )
        .get(from, to, this.#idOf(of), partition, ts)?.offset ?? undefined
    );
  }

  /** Every `topic` entry after `seq` up to `upTo`, in order. */
  topicsAfter(seq: number, upTo = Number.MAX_SAFE_INTEGER): StoredEntry[] {
    return this.#db
      .query<EntryRow, [number, number]>(
        `${SELECT} WHERE e.kind = 4 AND e.seq > ? AND e.seq <= ? ORDER BY e.seq`,
      )
      .all(seq, upTo)
      .map(fromRow);
  }

  /** Whether a partition holds a record with this mark already. */
  holdsMark(of: Incarnation, partition: number, mark: string): boolean {
    return (
      this.#db
        .query<{ seq: number }, [string, number, number]>(
          "SELECT seq FROM entries WHERE mark = ? AND topic = ? AND partition = ?",
        )
        .get(mark, this.#idOf(of), partition) !== null
    );
  }

  /** Where the records of one publish lie, of whatever incarnation. */
  marked(digest: string): MarkedPlace[] {
    // "." and "/" are neighbours: all marks that begin with the digest and a ".".
    return this.#db
      .query<
        { name: string; tag: string; partition: number; offset: number; mark: string },
        [string, string]
      >(
        `SELECT t.name, t.tag, e.partition, e.offset, e.mark
         FROM entries e JOIN topics t ON t.id = e.topic WHERE e.mark >= ? AND e.mark < ? ORDER BY e.seq`,
      )
      .all(`${digest}.`, `${digest}/`)
      .map(({ name: topic, tag, partition, offset, mark }) => {
        const { index, count } = parseMark(mark);
        return { topic, tag, partition, offset, index, count };
      });
  }

  /** Lets go of what lies beyond an offset in a partition that was truncated. Returns its bytes. */
  cutBeyond(of: Incarnation, partition: number, offset: number): number {
    const id = this.#idOf(of);
    const beyond = "FROM entries WHERE topic = ? AND partition = ? AND offset > ?";
    const cut = this.#db
      .query<{ bytes: number | null }, [number, number, number]>(
        `SELECT sum(size) AS bytes ${beyond}`,
      )
      .get(id, partition, offset);
    this.#db.query(`DELETE ${beyond}`).run(id, partition, offset);
    return cut?.bytes ?? 0;
  }

  /**
   * The oldest entries after `seq`, `limit` at most: those that arrived before a time, and as many
   * as it takes to let go of so many bytes. undefined where that is none.
   */
  oldest(
    seq: number,
    { arrivedBeforeMs, excessBytes }: { arrivedBeforeMs: number; excessBytes: number },
    limit: number,
  ): { seq: number; bytes: number; count: number } | undefined {
    const all = this.#db
      .query<{ seq: number; bytes: number; count: number; arrived: number }, [number, number]>(
        `SELECT max(seq) AS seq, total(size) AS bytes, count(*) AS count, max(arrived) AS arrived
         FROM (SELECT seq, size, arrived FROM entries WHERE seq > ? ORDER BY seq LIMIT ?)`,
      )
      .get(seq, limit);
    if (!all?.count) return undefined;
    // Most often all of them are: then it need not be asked of each.
    if (all.arrived < arrivedBeforeMs || all.bytes <= excessBytes) return all;
    const found = { seq, bytes: 0, count: 0 };
    const rows = this.#db
      .query<{ seq: number; arrived: number; size: number }, [number, number]>(
        "SELECT seq, arrived, size FROM entries WHERE seq > ? ORDER BY seq LIMIT ?",
      )
      .all(seq, limit);
    for (const row of rows) {
      if (row.arrived >= arrivedBeforeMs && found.bytes >= excessBytes) break;
      found.seq = row.seq;
      found.bytes += row.size;
      found.count += 1;
    }
    return found.count > 0 ? found : undefined;
  }

  removeUpTo(seq: number): void {
    this.#db.query("DELETE FROM entries WHERE seq <= ?").run(seq);
  }

  /** The newest entry's place; 0 where there is none. */
  lastSeq(): number {
    const row = this.#db
      .query<{ seq: number | null }, []>("SELECT max(seq) AS seq FROM entries")
      .get();
    return row?.seq ?? 0;
  }

  /** What lies after `seq`, up to `upTo`, in all; undefined where nothing does. */
  sumAfter(
    seq: number,
    upTo = Number.MAX_SAFE_INTEGER,
  ): { seq: number; bytes: number; arrived: number } | undefined {
    const row = this.#db
      .query<
        { seq: number | null; bytes: number | null; arrived: number | null },
        [number, number]
      >(
        "SELECT max(seq) AS seq, sum(size) AS bytes, max(arrived) AS arrived FROM entries WHERE seq > ? AND seq <= ?",
      )
      .get(seq, upTo);
    if (row?.seq === null || row?.seq === undefined) return undefined;
    return { seq: row.seq, bytes: row.bytes ?? 0, arrived: row.arrived ?? 0 };
  }

  /** -1 where there is none. Another process may have made it: then it is not remembered yet. */
  #idOf({ topic, tag }: Incarnation): number {
    const last = this.#lastId;
    if (last?.topic === topic && last.tag === tag) return last.id;
    const key = `${topic}~${tag}`;
    const id =
      this.#topicIds.get(key) ??
      this.#db
        .query<{ id: number }, [string, string]>("SELECT id FROM topics WHERE name = ? AND tag = ?")
        .get(topic, tag)?.id;
    if (id === undefined) return -1;
    this.#topicIds.set(key, id);
    this.#lastId = { topic, tag, id };
    return id;
  }
}
