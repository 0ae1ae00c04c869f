import type { ErrorCode } from "../errors.ts";
import type { Logger } from "../logger.ts";

/** A stranger can make requests fail as often as it likes: of one kind, one line is written in this time. */
const QUIET_MS = 1000;

/** Logs requests that could not be served, and how many like them were not logged. */
export class FaultLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  /** By code, of which there are few. */
  readonly #last = new Map<ErrorCode | "internal", { atMs: number; unlogged: number }>();

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** An error of ours: the cause is logged, with its stack; never what the request held. */
  report(code: ErrorCode | "internal", cause: unknown): void {
    const atMs = this.#nowMs();
    const last = this.#last.get(code);
    if (last && atMs - last.atMs < QUIET_MS) {
      last.unlogged += 1;
      return;
    }
    this.#last.set(code, { atMs, unlogged: 0 });
    const fields = { code, err: cause, unlogged: last?.unlogged ?? 0 };
    if (code === "internal") this.#logger.error(fields, "request failed");
    else this.#logger.warn(fields, "request could not be served");
  }
}
