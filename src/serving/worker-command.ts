import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HeadgateError } from "../errors.ts";

/** Set while scripts/build-binary.ts bundles `app.ts`, and nowhere else. */
declare const IS_HEADGATE_BINARY: true | undefined;

/** Makes a worker of the single binary; for nobody else to give. */
export const WORKER_ARGUMENT = "--worker";

/**
 * The command that runs a worker: Bun with its source, or the single binary once more.
 * @throws HeadgateError `configuration` in any other bundle. Such a program would start itself
 * again instead of a worker, and each of those the same.
 */
export function workerCommand(): string[] {
  if (typeof IS_HEADGATE_BINARY === "boolean") return [process.execPath, WORKER_ARGUMENT];
  const source = fileURLToPath(new URL("worker.ts", import.meta.url));
  if (existsSync(source)) return [process.execPath, source];
  throw new HeadgateError(
    "configuration",
    "WORKERS above 1 needs Headgate's own files, which a bundled application does not have: leave Headgate out of the bundle, or set WORKERS=1",
  );
}
