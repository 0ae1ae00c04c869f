import type { Past } from "./past.ts";
import type { Observation } from "./observation.ts";
import { type Reading, sum } from "./reading.ts";

/** Something that is unlike the time just past: not wrong by itself, but worth a look. */
export interface AnomalyRule {
  readonly name: string;
  /** When it holds, for people. */
  readonly when: string;
  /** What to say; undefined: it does not hold. */
  readonly check: (seen: Observation) => string | undefined;
}

/** What counts as now; it is compared with the slices of the same length before it. */
const NOW_MS = 10_000;

/** Of at most 12, two minutes. With fewer than a minute there is nothing to be unlike. */
const MIN_SLICES = 6;

/** So many times what was usual. */
const BURST = 5;

/**
 * The last 10 s against the mean and the spread of the up to 12 times 10 s before them. The minima
 * keep small numbers, which vary by themselves, from being news.
 */
export const ANOMALY_RULES: readonly AnomalyRule[] = [
  {
    name: "arrivals-stopped",
    when: "no record came in the last 10 s, while before they came steadily (at least one a second, spread below half the mean)",
    check: ({ past }) => {
      const { now, usual } = compare(past, ({ arrived }) => arrived);
      return usual &&
        now === 0 &&
        usual.mean >= 10 &&
        usual.min > 0 &&
        usual.spread < usual.mean / 2
        ? `No record has come for 10 s; before, there were ${rate(usual.mean)} a second`
        : undefined;
    },
  },
  {
    name: "arrivals-burst",
    when: "in the last 10 s at least 100 records came, more than 5 times the mean and 3 spreads above it",
    check: ({ past }) => {
      const { now, usual } = compare(past, ({ arrived }) => arrived);
      return usual && usual.mean > 0 && isBurst(now, usual, 100)
        ? `${rate(now)} records a second come; before, there were ${rate(usual.mean)}`
        : undefined;
    },
  },
  {
    name: "resets-burst",
    when: "in the last 10 s at least 10 streams were reset, more than 5 times the mean and 3 spreads above it",
    check: ({ past }) => {
      const { now, usual } = compare(past, ({ resets }) => resets);
      return usual && isBurst(now, usual, 10)
        ? `${now} streams were reset in the last 10 s`
        : undefined;
    },
  },
  {
    name: "disconnects-burst",
    when: "in the last 10 s at least 10 streams, and a tenth of those that were open, ended, more than 5 times the mean and 3 spreads above it",
    check: ({ past }) => {
      const { now, usual } = compare(past, ({ closed }) => sum(closed));
      return usual && isBurst(now, usual, Math.max(10, past.ago(NOW_MS).connections / 10))
        ? `${now} streams ended in the last 10 s`
        : undefined;
    },
  },
];

interface Usual {
  readonly mean: number;
  /** Standard deviation. */
  readonly spread: number;
  readonly min: number;
}

/** `usual` is undefined as long as too little is known of the time before. */
function compare(
  past: Past,
  of: (reading: Reading) => number,
): { now: number; usual: Usual | undefined } {
  const now = past.growth(NOW_MS, of);
  const slices = past.slicesBefore(NOW_MS, of);
  if (slices.length < MIN_SLICES) return { now, usual: undefined };
  const mean = slices.reduce((total, slice) => total + slice, 0) / slices.length;
  const variance = slices.reduce((total, slice) => total + (slice - mean) ** 2, 0) / slices.length;
  return { now, usual: { mean, spread: Math.sqrt(variance), min: Math.min(...slices) } };
}

function isBurst(now: number, { mean, spread }: Usual, atLeast: number): boolean {
  return now >= atLeast && now > BURST * mean && now > mean + 3 * spread;
}

function rate(perSlice: number): string {
  return ((perSlice * 1000) / NOW_MS).toFixed(1);
}
