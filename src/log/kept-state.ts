import type { Database } from "bun:sqlite";
import { logFault } from "./database.ts";

/**
 * Texts by name that lie in the log's own file: what somebody made of its entries, kept together
 * with how far they had read. They do not count towards DATA_MAX_BYTES: who keeps them bounds them.
 */
export class KeptState {
  readonly #db: Database;
  readonly #path: string;
  readonly #isDurable: boolean;

  constructor(db: Database, { path, durable }: { path: string; durable: boolean }) {
    this.#db = db;
    this.#path = path;
    this.#isDurable = durable;
  }

  /** All of it, in no order. */
  all(): (readonly [name: string, text: string])[] {
    return this.#db
      .query<{ name: string; text: string }, []>("SELECT name, text FROM kept")
      .all()
      .map(({ name, text }) => [name, text]);
  }

  /**
   * Stores texts (undefined: removes) in one transaction. It outlives the process at once, and the
   * machine once a later append is synced: both go into one write-ahead log in their order, so
   * that what is found after a power cut is never ahead of the entries.
   * @throws HeadgateError `log-full` or `log-unwritable`; then nothing of it is stored.
   */
  write(changes: Iterable<readonly [name: string, text: string | undefined]>): void {
    try {
      // A sync takes milliseconds of the event loop, and what is lost can be read again.
      if (this.#isDurable) this.#db.run("PRAGMA synchronous = NORMAL");
      this.#db.run("BEGIN IMMEDIATE");
      for (const [name, text] of changes) {
        if (text === undefined) this.#db.query("DELETE FROM kept WHERE name = ?").run(name);
        else this.#db.query("INSERT OR REPLACE INTO kept VALUES (?, ?)").run(name, text);
      }
      this.#db.run("COMMIT");
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      throw logFault(error, this.#path);
    } finally {
      if (this.#isDurable) this.#db.run("PRAGMA synchronous = FULL");
    }
  }
}
