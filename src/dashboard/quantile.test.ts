import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Buckets, quantileMs } from "./quantile.ts";

const UP_TO_MS = [1, 2.5, 5, 10, 25, 50, 100, Infinity];

function bucketsOf(values: readonly number[]): Buckets {
  return {
    upToMs: UP_TO_MS,
    counts: UP_TO_MS.map((bound) => values.filter((value) => value <= bound).length),
  };
}

test("where nothing came, there is no quantile", () => {
  expect(quantileMs(0.5, bucketsOf([]))).toBeNull();
  expect(quantileMs(0.5, bucketsOf([3]), bucketsOf([3]))).toBeNull();
});

test("a quantile is interpolated within its bucket", () => {
  // 100 values between 5 and 10 ms.
  const values = Array<number>(100).fill(7);
  expect(quantileMs(0.5, bucketsOf(values))).toBe(7.5);
  expect(quantileMs(1, bucketsOf(values))).toBe(10);
});

test("what came before does not count", () => {
  const before = Array<number>(1000).fill(80);
  const now = [...before, 2, 2, 2];
  expect(quantileMs(0.99, bucketsOf(now), bucketsOf(before))).toBeWithin(1, 2.5);
});

test("beyond the last bound it is that bound", () => {
  expect(quantileMs(0.5, bucketsOf([5000]))).toBe(100);
});

test("a quantile lies in the bucket of the value of its rank", () => {
  const value = fc.double({ min: 0.001, max: 100, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const found = quantileMs(q, bucketsOf(values));
        const rank = Math.max(1, Math.ceil(q * values.length));
        const truth = values.toSorted((a, b) => a - b)[rank - 1] ?? 0;
        const upper = UP_TO_MS.find((bound) => truth <= bound) ?? Infinity;
        const lower = UP_TO_MS.findLast((bound) => bound < truth) ?? 0;
        expect(found).toBeGreaterThanOrEqual(lower);
        expect(found).toBeLessThanOrEqual(upper);
      },
    ),
  );
});
