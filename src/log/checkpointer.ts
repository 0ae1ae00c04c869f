/**
 * A worker thread that copies the write-ahead log back into the database file. A checkpoint syncs
 * twice and takes tens of milliseconds: on the main thread it would stop every stream.
 */
import { Database } from "bun:sqlite";

declare const self: Worker;

const INTERVAL_MS = 500;

/**
 * The file begins anew, and so stays small, only after a pass that left nothing over; and while a
 * long pass runs, more is written. Each further pass has less to do: under a steady load three or
 * four are enough.
 */
const MAX_PASSES = 10;

self.addEventListener("message", (message: MessageEvent<string>) => {
  const db = new Database(message.data, { readwrite: true });
  // For the opening alone: a passive checkpoint waits for nobody.
  db.run("PRAGMA busy_timeout = 2000");
  db.run("PRAGMA synchronous = NORMAL");
  setInterval(() => {
    try {
      let before = -1;
      for (let pass = 0; pass < MAX_PASSES; pass += 1) {
        const length = checkpoint(db);
        if (length === before) break;
        before = length;
      }
    } catch {
      // A full disk: the WAL keeps what is committed, and the next round tries again.
    }
  }, INTERVAL_MS);
});

/** Copies what nobody else writes or reads just now. Returns the length of the write-ahead log, in pages. */
function checkpoint(db: Database): number {
  const row = db.query<{ log: number }, []>("PRAGMA wal_checkpoint(PASSIVE)").get();
  return row?.log ?? 0;
}
