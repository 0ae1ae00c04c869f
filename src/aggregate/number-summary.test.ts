import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { runs } from "../../test/support/effort.ts";
import { NumberSummary } from "./number-summary.ts";
import { bucketOf, MAX_BUCKETS, MAX_MAGNITUDE, QuantileSketch } from "./quantile-sketch.ts";

function summaryOf(values: readonly number[]): NumberSummary {
  const summary = new NumberSummary();
  for (const value of values) summary.add({ value, bucket: bucketOf(value) });
  return summary;
}

/** Within 1%, and what rounding adds to it. */
function expectWithin(told: number, exact: number): void {
  expect(Math.abs(told - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_000_1 + 1e-280);
}

const anyNumber = fc.oneof(
  fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
  fc.double({ noNaN: true, min: -MAX_MAGNITUDE, max: MAX_MAGNITUDE }),
  fc.integer({ min: -100, max: 100 }),
);

test("negative numbers, zero and numbers of any size: ends and count are exact, quantiles within 1% of their rank", () => {
  fc.assert(
    fc.property(fc.array(anyNumber, { minLength: 1, maxLength: 200 }), (values) => {
      const sorted = values.map((value) => value + 0).toSorted((a, b) => a - b);
      const at = (q: number): number =>
        sorted[Math.max(0, Math.ceil((q * 100 * sorted.length) / 100) - 1)] ?? 0;
      const { count, min, max, p50, p95, p99 } = summaryOf(values).figures();
      expect([count, min + 0, max + 0]).toEqual([sorted.length, at(0), at(1)]);
      expectWithin(p50, at(0.5));
      expectWithin(p95, at(0.95));
      expectWithin(p99, at(0.99));
    }),
    { numRuns: runs(500) },
  );
});

test("parts that are stored and merged come to the same as the whole", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: -1e6, max: 1e6 }))), (parts) => {
      const merged = new NumberSummary();
      for (const part of parts) {
        merged.merge(new NumberSummary(JSON.parse(JSON.stringify(summaryOf(part)))));
      }
      if (parts.flat().length === 0) return;
      expect(merged.figures()).toEqual(summaryOf(parts.flat()).figures());
    }),
    { numRuns: runs(300) },
  );
});

test("numbers close to the largest do not add up to infinity", () => {
  const { mean, p99 } = summaryOf(Array.from({ length: 1_000 }, () => MAX_MAGNITUDE)).figures();
  expect(mean).toBe(MAX_MAGNITUDE);
  expect(p99).toBe(MAX_MAGNITUDE);
});

describe("D11 numbers of more sizes than there are buckets", () => {
  /** Each of another size: 2.1% further than the one before. */
  const values = Array.from({ length: 20_000 }, (_, i) => 1.021 ** (i - 10_000));

  test("hold no more than the bound, merged too", () => {
    const sketch = new QuantileSketch();
    for (const value of values) sketch.add(bucketOf(value));
    expect(sketch.size).toBeLessThanOrEqual(MAX_BUCKETS * 1.25);
    const merged = new QuantileSketch();
    for (let i = 0; i < 4; i += 1) {
      const part = new QuantileSketch();
      for (const value of values) part.add(bucketOf(i % 2 === 0 ? value : -value));
      merged.merge(part);
    }
    expect(merged.size).toBeLessThanOrEqual(MAX_BUCKETS * 1.25);
  });

  test("keep the highest apart, in whatever order they come", () => {
    for (const order of [values, values.toReversed()]) {
      const { p99, max, count } = summaryOf(order).figures();
      expectWithin(p99, values[Math.ceil((99 * values.length) / 100) - 1] ?? 0);
      expect([max, count]).toEqual([values.at(-1) ?? 0, values.length]);
    }
  });
});
