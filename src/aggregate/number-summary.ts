import type { FieldFigures } from "./aggregation.ts";
import { type BucketCount, QuantileSketch } from "./quantile-sketch.ts";

/** A number with the bucket of the sketches that it falls into, which many of them share. */
export interface Measure {
  readonly value: number;
  readonly bucket: number;
}

/** Some numbers: exactly how many, from where to where and their sum; and about how they are spread. */
export class NumberSummary {
  #count: number;
  #min: number;
  #max: number;
  #sum: number;
  readonly #sketch: QuantileSketch;

  constructor([count, min, max, sum, buckets]: StoredNumbers = NOTHING) {
    this.#count = count;
    this.#min = min;
    this.#max = max;
    this.#sum = sum;
    this.#sketch = new QuantileSketch(buckets);
  }

  add({ value, bucket }: Measure): void {
    if (this.#count === 0 || value < this.#min) this.#min = value;
    if (this.#count === 0 || value > this.#max) this.#max = value;
    this.#count += 1;
    this.#sum += value;
    this.#sketch.add(bucket);
  }

  merge(from: NumberSummary): void {
    if (from.#count === 0) return;
    this.#min = this.#count === 0 ? from.#min : Math.min(this.#min, from.#min);
    this.#max = this.#count === 0 ? from.#max : Math.max(this.#max, from.#max);
    this.#count += from.#count;
    this.#sum += from.#sum;
    this.#sketch.merge(from.#sketch);
  }

  /** The p-th percentile is the number that p% of all are not above: of few, the last is the largest. */
  figures(): FieldFigures {
    const ranks = PERCENTILES.map((percent) => Math.ceil((percent * this.#count) / 100) - 1);
    const within = (value: number): number => Math.min(Math.max(value, this.#min), this.#max);
    const [p50 = 0, p95 = 0, p99 = 0] = this.#sketch.atRanks(ranks).map(within);
    return {
      count: this.#count,
      min: this.#min,
      max: this.#max,
      // Rounding alone can carry it past the ends.
      mean: within(this.#sum / this.#count),
      p50,
      p95,
      p99,
    };
  }

  /** For the constructor. */
  toJSON(): StoredNumbers {
    return [this.#count, this.#min, this.#max, this.#sum, this.#sketch.toJSON()];
  }
}

export type StoredNumbers = readonly [
  count: number,
  min: number,
  max: number,
  sum: number,
  buckets: readonly BucketCount[],
];

const NOTHING: StoredNumbers = [0, 0, 0, 0, []];

const PERCENTILES = [50, 95, 99];
