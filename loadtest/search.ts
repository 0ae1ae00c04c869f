/** What was tried, and whether it held. */
export interface Try<T> {
  readonly rate: number;
  readonly holds: boolean;
  readonly result: T;
}

/** Where a search begins, and how often it halves what is left between the last that held and the first that did not. */
export interface SearchRange {
  readonly first: number;
  readonly least: number;
  readonly most: number;
  readonly bisections: number;
}

/**
 * Looks for the highest rate that holds: doubles while it does (or halves until it does), then bisects.
 * Resolves to all tries, in order; assumes that what holds at one rate holds at every lower one.
 */
export async function searchHighest<T>(
  { first, least, most, bisections }: SearchRange,
  attempt: (rate: number) => Promise<{ holds: boolean; result: T }>,
): Promise<readonly Try<T>[]> {
  const tries: Try<T>[] = [];
  const holdsAt = async (rate: number): Promise<boolean> => {
    const { holds, result } = await attempt(rate);
    tries.push({ rate, holds, result });
    return holds;
  };
  let [held, failed] = [0, Number.POSITIVE_INFINITY];
  for (let rate = first; rate >= least && rate <= most;) {
    const holds = await holdsAt(rate);
    if (holds) held = rate;
    else failed = rate;
    if (held > 0 && failed < Number.POSITIVE_INFINITY) break;
    rate = holds ? rate * 2 : Math.floor(rate / 2);
  }
  if (held === 0 || failed === Number.POSITIVE_INFINITY) return tries;
  for (let step = 0; step < bisections && failed - held > 1; step += 1) {
    const rate = Math.round((held + failed) / 2);
    if (await holdsAt(rate)) held = rate;
    else failed = rate;
  }
  return tries;
}

/** The try with the highest rate that held; undefined where none did. */
export function highestOf<T>(tries: readonly Try<T>[]): Try<T> | undefined {
  return tries.filter(({ holds }) => holds).toSorted((a, b) => b.rate - a.rate)[0];
}
