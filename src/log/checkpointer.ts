/**
 * A worker thread that copies the write-ahead log back into the database file. A checkpoint syncs
 * twice and takes tens of milliseconds: on the main thread it would stop every stream.
 */
import { Database } from "bun:sqlite";

declare const self: Worker;

const INTERVAL_MS = 500;

self.addEventListener("message", (message: MessageEvent<string>) => {
  const db = new Database(message.data, { readwrite: true });
  // For the opening alone: a passive checkpoint waits for nobody.
  db.run("PRAGMA busy_timeout = 2000");
  db.run("PRAGMA synchronous = NORMAL");
  setInterval(() => {
    try {
      db.run("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // A full disk: the WAL keeps what is committed, and the next round tries again.
    }
  }, INTERVAL_MS);
});
