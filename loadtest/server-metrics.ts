import type { Server } from "./processes.ts";

/** A Prometheus histogram: how many values were at most so large, by bound, in order. */
export type HistogramCounts = readonly { readonly atMost: number; readonly count: number }[];

/** A histogram of the server's, as it is now. Throws where it has none of that name. */
export async function readHistogram({ port }: Server, name: string): Promise<HistogramCounts> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  return parseHistogram(await answer.text(), name);
}

/** Takes a histogram without further labels out of Prometheus text. Throws where it is not there. */
export function parseHistogram(text: string, name: string): HistogramCounts {
  const lines = text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\d+)$`, "gm"));
  const counts = [...lines].map(([, bound, count]) => ({
    atMost: bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound),
    count: Number(count),
  }));
  if (counts.length === 0) throw new Error(`The server's metrics have no histogram ${name}`);
  return counts;
}

/**
 * The value below which this share of what came between two readings lies, taken as spread evenly within
 * its bucket. NaN where nothing came.
 */
export function quantileBetween(
  before: HistogramCounts,
  after: HistogramCounts,
  share: number,
): number {
  const counts = after.map(({ atMost, count }, index) => ({
    atMost,
    count: count - (before[index]?.count ?? 0),
  }));
  const wanted = (counts.at(-1)?.count ?? 0) * share;
  if (wanted === 0) return Number.NaN;
  let [lower, below] = [0, 0];
  for (const { atMost, count } of counts) {
    if (count >= wanted) {
      // The last bucket has no bound: all that is known is that it is more than the one before.
      if (atMost === Number.POSITIVE_INFINITY) return lower;
      return lower + ((wanted - below) / (count - below)) * (atMost - lower);
    }
    [lower, below] = [atMost, count];
  }
  return lower;
}
