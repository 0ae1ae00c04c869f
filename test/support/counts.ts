import type { Metrics } from "../../src/metrics.ts";

/** What a counter of one label has counted, by that label's value; those at 0 are left out. */
export async function counts(
  counter: Metrics["published" | "recordsSkipped" | "resumes"],
): Promise<Record<string, number>> {
  const { values } = await counter.get();
  const counted = values.filter(({ value }) => value > 0);
  return Object.fromEntries(
    counted.map(({ labels, value }) => [Object.values(labels).join(), value]),
  );
}
