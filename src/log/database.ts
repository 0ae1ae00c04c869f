import { Database, SQLiteError } from "bun:sqlite";
import { HeadgateError } from "../errors.ts";

/** Raised when the tables change; a file of a later version is refused, never guessed at. */
const SCHEMA_VERSION = 3;

const KEPT = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, text TEXT NOT NULL);";

const SCHEMA = `
  CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL, tag TEXT NOT NULL, UNIQUE (name, tag));
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL,
    topic INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    arrived INTEGER NOT NULL, size INTEGER NOT NULL, ts INTEGER NOT NULL, ts_type INTEGER NOT NULL,
    key BLOB, value BLOB, headers TEXT, mark TEXT
  );
  CREATE INDEX entries_position ON entries (topic, partition, offset);
  CREATE INDEX entries_topic ON entries (seq) WHERE kind = 4;
  CREATE INDEX entries_mark ON entries (mark) WHERE mark IS NOT NULL;
  CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY, state TEXT NOT NULL, bytes INTEGER NOT NULL,
    max_ts INTEGER NOT NULL, block TEXT NOT NULL
  );
  INSERT INTO checkpoints VALUES (0, '[]', 0, -1, '{}');
  ${KEPT}
`;

/** What leads from each version to the next. */
const MIGRATIONS: Readonly<Record<number, string>> = {
  1: `ALTER TABLE entries ADD COLUMN mark TEXT;
      CREATE INDEX entries_mark ON entries (mark) WHERE mark IS NOT NULL;`,
  2: KEPT,
};

export interface DatabaseOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  /** Sync to disk at each commit: on where the log is the store of record. */
  readonly durable: boolean;
}

/**
 * Opens (and makes) the database. WAL, so that worker processes and the checkpointer read and copy
 * beside the one writer; automatic checkpoints only as a last resort, because they stop the loop.
 */
export function openDatabase({ path, durable }: DatabaseOptions): Database {
  try {
    const db = new Database(path, { create: true, strict: true });
    // Another connection's last checkpoint (a process that has just ended) holds the file for a moment.
    db.run("PRAGMA busy_timeout = 2000");
    db.run("PRAGMA journal_mode = WAL");
    db.run(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    db.run("PRAGMA wal_autocheckpoint = 25000");
    db.run("PRAGMA cache_size = -16384");
    bringUpToDate(db, path);
    return db;
  } catch (error) {
    if (error instanceof SQLiteError) throw logFault(error, path);
    throw error;
  }
}

/** Opens a file that another process writes, and has brought up to date, for reading alone. */
export function openReadOnly(path: string): Database {
  try {
    const db = new Database(path, { readonly: true, strict: true });
    db.run("PRAGMA busy_timeout = 2000");
    db.run("PRAGMA cache_size = -4096");
    return db;
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    const reason = `${error.code ?? "SQLITE_ERROR"}: ${error.message}`;
    throw new HeadgateError("log-unwritable", `${path} cannot be read (${reason})`, {
      cause: error,
    });
  }
}

/** Runs reads in one transaction, so that they agree with one another; it ends with them, because it holds the write-ahead log. */
export function inOneRead<T>(db: Database, read: () => T): T {
  db.query("BEGIN").run();
  try {
    return read();
  } finally {
    db.query("COMMIT").run();
  }
}

function bringUpToDate(db: Database, path: string): void {
  const read = db.query<{ user_version: number }, []>("PRAGMA user_version");
  for (;;) {
    const version = read.get()?.user_version ?? 0;
    if (version === SCHEMA_VERSION) return;
    const step = version === 0 ? SCHEMA : MIGRATIONS[version];
    if (step === undefined) {
      throw new HeadgateError(
        "configuration",
        `${path} has schema version ${version}, this version of Headgate writes ${SCHEMA_VERSION}; use another DATA_DIR`,
      );
    }
    db.transaction(() => {
      db.run(step);
      db.run(`PRAGMA user_version = ${version === 0 ? SCHEMA_VERSION : version + 1}`);
    })();
  }
}

/** Copies the write-ahead log back in a thread of its own (`checkpointer.ts`), until terminated. */
export function startCheckpointer(path: string): Worker {
  const worker = new Worker(new URL("./checkpointer.ts", import.meta.url).href);
  worker.postMessage(path);
  worker.unref();
  return worker;
}

/** What a failed write means to the log's users: no room, or no way to write at all. */
export function logFault(error: unknown, path: string): HeadgateError {
  const code = error instanceof SQLiteError ? (error.code ?? "SQLITE_ERROR") : "unknown";
  const reason = error instanceof Error ? error.message : String(error);
  return code === "SQLITE_FULL"
    ? new HeadgateError("log-full", `The disk of ${path} is full; free some space`, {
        cause: error,
      })
    : new HeadgateError(
        "log-unwritable",
        `${path} cannot be written (${code}: ${reason}); check its disk and permissions`,
        { cause: error },
      );
}
