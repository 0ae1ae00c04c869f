/** One rate that was tried. */
export interface Attempt {
  readonly rate: number;
  readonly keepsUp: boolean;
}

/** Where to begin, where to end, and how often to halve what lies between the last two. */
export interface Search {
  readonly from: number;
  readonly most: number;
  readonly steps: number;
}

/**
 * The highest rate that is kept up with, to within a factor of 2^(1 / 2^steps): doubled until one is not, then
 * halved in between, in ratios. What fails is tried once more, as the machine may have been busy with something
 * else. Undefined where even the first is too much. All that was tried is in `attempts`.
 */
export async function findHighest<Tried extends Attempt>(
  { from, most, steps }: Search,
  attempt: (rate: number) => Promise<Tried>,
): Promise<{ highest: Tried | undefined; attempts: readonly Tried[] }> {
  const attempts: Tried[] = [];
  const attemptAt = async (rate: number): Promise<Tried> => {
    const first = await attempt(rate);
    attempts.push(first);
    if (first.keepsUp) return first;
    const second = await attempt(rate);
    attempts.push(second);
    return second;
  };

  let highest: Tried | undefined;
  let tooMuch: number | undefined;
  for (let rate = from; rate <= most; rate *= 2) {
    const tried = await attemptAt(rate);
    if (!tried.keepsUp) {
      tooMuch = rate;
      break;
    }
    highest = tried;
  }
  for (let step = 0; step < steps; step += 1) {
    if (highest === undefined || tooMuch === undefined) break;
    const tried = await attemptAt(Math.round(Math.sqrt(highest.rate * tooMuch)));
    if (tried.keepsUp) highest = tried;
    else tooMuch = tried.rate;
  }
  return { highest, attempts };
}
