/** A histogram: how many values were at most so large, by ascending bound, of which the last is Infinity. */
export interface Buckets {
  readonly upToMs: readonly number[];
  /** Cumulative. */
  readonly counts: readonly number[];
}

/**
 * The value at rank `q` (0 to 1) of those that came between two readings of a histogram; null where
 * none came. Interpolated within the bucket that holds it, as Prometheus does: what is said lies in
 * the same bucket as the true value, so the error is below the bucket's width (of the bounds in
 * `metrics.ts`, at most a factor of 2.5). Beyond the last bound it is that bound: "at least".
 */
export function quantileMs(q: number, now: Buckets, before?: Buckets): number | null {
  const counts = now.counts.map((count, i) => count - (before?.counts[i] ?? 0));
  const total = counts.at(-1) ?? 0;
  if (total <= 0) return null;
  const rank = q * total;
  const i = counts.findIndex((count) => count >= rank && count > 0);
  const lower = now.upToMs[i - 1] ?? 0;
  const upper = now.upToMs[i] ?? lower;
  if (upper === Infinity) return lower;
  const below = counts[i - 1] ?? 0;
  const inside = (counts[i] ?? 0) - below;
  return lower + ((upper - lower) * (rank - below)) / inside;
}
