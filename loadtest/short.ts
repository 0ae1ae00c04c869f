import type { Figures } from "./figures.ts";

/** Lengths and sizes of most steps: shorter than the programs' own, so that all of them take minutes. */
export const SHORT = {
  warmup: 2,
  seconds: 4,
  drain: 1,
  bytes: 100,
  paceMs: 5,
  sample: 20,
} as const;

/** One figure beside another, as text. */
export function ratio(ours: Figures, theirs: Figures, of: keyof Figures): string {
  return (ours[of] / theirs[of]).toFixed(2);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
