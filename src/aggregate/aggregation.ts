/** The windows that are kept, by their names, in milliseconds. */
export const WINDOWS = { "10s": 10_000, "1m": 60_000, "5m": 300_000, "1h": 3_600_000 } as const;

export type WindowName = keyof typeof WINDOWS;

/** What has come in the time just past, by record timestamp (protocol.md §8). */
export interface Aggregation {
  /** When it was last brought up to date, in milliseconds since 1970. */
  readonly updatedAt: number;
  /** From when on everything is counted: a window that begins before it is not full yet. */
  readonly since: number;
  /** Records that were older than the longest window when they came, ever: counted here, and in no window. */
  readonly late: number;
  /** Records dated more than a second after they came, ever: counted as of when they came. */
  readonly future: number;
  readonly windows: Readonly<Record<WindowName, WindowFigures>>;
}

export interface WindowFigures {
  readonly count: number;
  /** `count` by the window's length. */
  readonly ratePerSecond: number;
  readonly byTopic: Readonly<Record<string, number>>;
  /** The most frequent types, and `other`; together they are `count`. */
  readonly byType: Readonly<Record<string, number>>;
  readonly ratesByTopic: Readonly<Record<string, number>>;
  readonly ratesByType: Readonly<Record<string, number>>;
  /** There were more types than are kept: counts by type are lower bounds, the rest is in `other`. */
  readonly truncated: boolean;
  /** By path; those without a number in the window are left out. */
  readonly fields: Readonly<Record<string, FieldFigures>>;
}

/**
 * Minimum, maximum, mean and count are exact; quantiles lie within 1% of a value of their rank
 * (less exact at the low end where numbers span more than eight hundred million to one).
 */
export interface FieldFigures {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}
