import { type StoredEntry, storedBytes } from "./stored-entry.ts";

/** What is held in memory of the newest entries, unless said otherwise: about a second of a busy topic. */
export const TAIL_BYTES = 8 << 20;

/** The newest entries in memory, so that live delivery never reads the database. Bounded in bytes. */
export class Tail {
  readonly #maxBytes: number;
  #entries: StoredEntry[] = [];
  /** Index of the first entry that counts: removal from the front is amortised. */
  #start = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next entry. After a hole it begins anew: what it holds has no holes. */
  push(entry: StoredEntry): void {
    const last = this.#entries.at(-1);
    if (last && entry.seq !== last.seq + 1) this.clear();
    this.#entries.push(entry);
    this.#bytes += storedBytes(entry);
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#entries[this.#start];
      if (!oldest || oldest === entry) break;
      this.#bytes -= storedBytes(oldest);
      this.#start += 1;
    }
    if (this.#start > 1024 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  clear(): void {
    this.#entries = [];
    this.#start = 0;
    this.#bytes = 0;
  }

  /** Up to `limit` entries after `seq`; undefined where the tail does not reach back that far. */
  after(seq: number, limit: number): readonly StoredEntry[] | undefined {
    const first = this.#entries[this.#start];
    if (!first || first.seq > seq + 1) return undefined;
    const from = this.#start + (seq + 1 - first.seq);
    return this.#entries.slice(from, from + limit);
  }
}
