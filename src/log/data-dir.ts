import { Database, SQLiteError } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { HeadgateError } from "../errors.ts";

/** A DATA_DIR that this process holds alone until it is disposed of, or dies. */
export interface DataDir extends Disposable {
  /** The path of a log's file: one per cluster, so that two clusters' offsets never mix. */
  logFile(clusterId: string | undefined): string;
}

/**
 * Takes the directory (made where absent), or `:memory:`, for this process.
 * @throws HeadgateError `data-dir-locked` while another process has it, `log-unwritable` where it cannot be made.
 */
export function takeDataDir(path: string): DataDir {
  if (path === ":memory:") return { logFile: () => path, [Symbol.dispose]() {} };
  try {
    mkdirSync(path, { recursive: true });
    // SQLite's own file lock: the kernel lets it go however the process ends, kill -9 included.
    const lock = new Database(join(path, "lock.db"), { create: true });
    lock.run("BEGIN EXCLUSIVE");
    return {
      logFile: (clusterId) => join(path, clusterId ? `${fileName(clusterId)}.db` : "embedded.db"),
      [Symbol.dispose]: () => lock.close(),
    };
  } catch (error) {
    if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") {
      throw new HeadgateError(
        "data-dir-locked",
        `DATA_DIR ${path} is in use by another Headgate process; stop it or give this one a DATA_DIR of its own`,
      );
    }
    throw new HeadgateError(
      "log-unwritable",
      `DATA_DIR ${path} cannot be written (${error instanceof Error ? error.message : String(error)}); make it writable, or set DATA_DIR=:memory:`,
      { cause: error },
    );
  }
}

/** Cluster ids are base64url by habit, not by contract. */
function fileName(clusterId: string): string {
  return `kafka-${clusterId.replaceAll(/[^A-Za-z0-9_-]/g, (c) => `=${c.codePointAt(0)?.toString(16)}`)}`;
}
