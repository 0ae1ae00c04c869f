import { type ErrorCode, quote } from "../errors.ts";
import type { EndReason } from "../hub/subscriber.ts";
import type { Logger } from "../logger.ts";

/** A stranger can make requests fail as often as it likes: of one kind, one line is written in this time. */
const QUIET_MS = 1000;

interface AnsweredRequest {
  readonly requestId: string;
  readonly method: string;
  readonly url: string;
  readonly status: number;
  /** Monotonic, ms. */
  readonly sinceMs: number;
}

/** Logs what becomes of requests: those that could not be served, and all of them where `debug` is asked for. */
export class RequestLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  /** By code, of which there are few. */
  readonly #last = new Map<ErrorCode | "internal", { atMs: number; unlogged: number }>();

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** An error of ours: the cause is logged, with its stack; never what the request held. One a second and kind, with how many like it were not logged. */
  failed(requestId: string, code: ErrorCode | "internal", cause: unknown): void {
    const atMs = this.#nowMs();
    const last = this.#last.get(code);
    if (last && atMs - last.atMs < QUIET_MS) {
      last.unlogged += 1;
      return;
    }
    this.#last.set(code, { atMs, unlogged: 0 });
    const fields = { requestId, code, err: cause, unlogged: last?.unlogged ?? 0 };
    if (code === "internal") this.#logger.error(fields, "request failed");
    else this.#logger.warn(fields, "request could not be served");
  }

  /** A request has its answer, or a stream its first bytes. Only its path: tokens may be in the query. */
  answered({ requestId, method, url, status, sinceMs }: AnsweredRequest): void {
    if (!this.#logger.isLevelEnabled("debug")) return;
    const [path = ""] = url.replace(/^[^/]*\/\/[^/]*/, "").split(/[?#]/, 1);
    const ms = Math.round(this.#nowMs() - sinceMs);
    this.#logger.debug({ requestId, method, path: quote(path), status, ms }, "request answered");
  }

  streamEnded(requestId: string, reason: EndReason): void {
    this.#logger.debug({ requestId, reason }, "stream ended");
  }
}
