import type { ReadableLog } from "../log/readable-log.ts";
import type { EndsSource } from "../log/source.ts";

/** Where events come from. */
export interface Source {
  readonly log: ReadableLog;
  readonly ends: EndsSource;
  /** Between the two answers of `ends` that make a position `ahead`. */
  readonly aheadConfirmMs: number;
  /** Looks whether another process has written to the log: called before it is asked for what it holds. */
  readonly refresh?: () => void;
  /** Stores what waits to be stored: called before each turn, so that the turn delivers it too. */
  readonly flush?: () => void;
}
