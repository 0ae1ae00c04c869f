/** Quantiles are off by at most this part of the value that has their rank. */
const RELATIVE_ERROR = 0.01;

/** Beyond this, sums of doubles could overflow. Below its inverse, a number is as good as 0. */
export const MAX_MAGNITUDE = 1e290;

/**
 * Buckets of one sketch. Against numbers that are spread over all that a double can hold, to fill
 * the memory: 1,024 span eight hundred million to one, which is more than any one measure needs.
 */
export const MAX_BUCKETS = 1_024;

const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);

/** More than the exponent of any number's bucket, so that a number and its opposite differ by the sign only. */
const OFFSET = 40_000;

/**
 * Which bucket a number falls into: those of one bucket differ by 2% at most, and a larger number
 * has no lower bucket.
 */
export function bucketOf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude < 1 / MAX_MAGNITUDE) return 0;
  const bucket = Math.ceil(Math.log(magnitude) / LOG_GAMMA) + OFFSET;
  return value < 0 ? -bucket : bucket;
}

/** The number that is nearest to all of a bucket, measured by their size. */
function valueOf(bucket: number): number {
  if (bucket === 0) return 0;
  const magnitude = (GAMMA ** (Math.abs(bucket) - OFFSET) * 2) / (1 + GAMMA);
  return bucket < 0 ? -magnitude : magnitude;
}

/**
 * Quantiles of many numbers in bounded memory, which can be merged without loss [Masson et al.,
 * "DDSketch", VLDB 2019]. Where the buckets do not suffice, those of the lowest numbers become
 * one: quantiles that fall there are then too high.
 *
 * Our own, because @datadog/sketches-js 2.1.1 forgets the negative numbers of what it merges, has
 * no bound on its buckets in the variant that keeps all, and is stored through protobuf only.
 */
export class QuantileSketch {
  readonly #buckets: Map<number, number>;

  constructor(buckets: readonly BucketCount[] = []) {
    this.#buckets = new Map(buckets);
  }

  /** Buckets held: at most `MAX_BUCKETS` and a quarter. */
  get size(): number {
    return this.#buckets.size;
  }

  add(bucket: number, count = 1): void {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
    // A quarter more: the cost of the sort is shared by as many buckets as it frees.
    if (this.#buckets.size > MAX_BUCKETS * 1.25) this.#collapse();
  }

  merge(from: QuantileSketch): void {
    for (const [bucket, count] of from.#buckets) this.add(bucket, count);
  }

  /** For each rank, in ascending order and counted from 0, a number within 1% of the one that has it. */
  atRanks(ranks: readonly number[]): number[] {
    const ascending = this.#ascending();
    let index = -1;
    let passed = 0;
    return ranks.map((rank) => {
      while (passed <= rank && index + 1 < ascending.length) {
        index += 1;
        passed += ascending[index]?.[1] ?? 0;
      }
      return valueOf(ascending[index]?.[0] ?? 0);
    });
  }

  /** For the constructor. */
  toJSON(): BucketCount[] {
    return [...this.#buckets];
  }

  #collapse(): void {
    const ascending = this.#ascending();
    const lowest = ascending.splice(0, ascending.length - MAX_BUCKETS);
    const [into] = ascending[0] ?? [0];
    for (const [bucket, count] of lowest) {
      this.#buckets.delete(bucket);
      this.#buckets.set(into, (this.#buckets.get(into) ?? 0) + count);
    }
  }

  #ascending(): BucketCount[] {
    return [...this.#buckets].toSorted(([a], [b]) => a - b);
  }
}

export type BucketCount = readonly [bucket: number, count: number];
