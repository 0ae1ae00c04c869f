import { z } from "zod";

/** Some values by rank. */
export const Quantiles = z.object({ p50: z.number(), p99: z.number(), max: z.number() });
export type Quantiles = z.infer<typeof Quantiles>;

/** 0 for all where there are no values. */
export function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return Math.round(value * 100) / 100;
  };
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
