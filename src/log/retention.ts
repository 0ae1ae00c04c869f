import type { Logger } from "../logger.ts";
import type { EventLog } from "./event-log.ts";

export interface RetentionOptions {
  /** By arrival, not by record timestamp: a record from 1970 would go at once, one from the future block all. */
  readonly retentionMs: number;
  readonly maxBytes: number;
  readonly logger: Logger;
  readonly now?: () => number;
  /** How often to look (default 250 ms). */
  readonly intervalMs?: number;
}

/** Entries that go in one turn of the event loop: about a millisecond's work. */
const STEP = 500;

/** Keeps the log within its age and size, one small step a turn, until disposed of. */
export function startRetention(log: EventLog, options: RetentionOptions): Disposable {
  const { retentionMs, maxBytes, logger, now = Date.now, intervalMs = 250 } = options;
  let step: NodeJS.Immediate | undefined;
  const trim = (): void => {
    step = undefined;
    try {
      const removed = log.trim({ arrivedBeforeMs: now() - retentionMs, maxBytes }, STEP);
      if (removed === STEP) step = setImmediate(trim);
    } catch (error) {
      logger.warn({ err: error }, "log could not be trimmed");
    }
  };
  const timer = setInterval(() => {
    if (!step) trim();
  }, intervalMs);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      clearImmediate(step);
    },
  };
}
