import { expect, test } from "bun:test";
import fc from "fast-check";
import { isQuick, runs } from "../../test/support/effort.ts";
import { HeavyHitters } from "./heavy-hitters.ts";

const total = ({ items, other }: ReturnType<HeavyHitters["top"]>): number =>
  items.reduce((sum, [, count]) => sum + count, other);

test("counts are exact as long as there is room for every name", () => {
  const hitters = new HeavyHitters(3);
  for (const name of ["a", "b", "a", "c", "a", "b"]) hitters.add(name, 1);
  const expected = [
    ["a", 3],
    ["b", 2],
    ["c", 1],
  ] as const;
  expect(hitters.top()).toEqual({ items: expected, other: 0 });
});

test("beyond the capacity the most frequent are told, and the rest is one figure", () => {
  const hitters = new HeavyHitters(2);
  for (const [name, count] of [
    ["a", 5],
    ["b", 1],
    ["c", 4],
    ["d", 2],
  ] as const) {
    hitters.add(name, count);
  }
  expect(hitters.top()).toEqual({
    items: [
      ["a", 5],
      ["c", 4],
    ],
    other: 3,
  });
});

const adding = fc.record({
  name: fc.integer({ min: 0, max: 30 }).map(String),
  count: fc.integer({ min: 1, max: 20 }),
});

test("whatever is added, merged and stored: the sum is exact, each count a lower bound within what is promised", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.array(adding, { maxLength: 60 }), { maxLength: 5 }),
      (capacity, parts) => {
        const whole = new HeavyHitters(capacity);
        const exact = new Map<string, number>();
        for (const part of parts) {
          const hitters = new HeavyHitters(capacity);
          for (const { name, count } of part) {
            hitters.add(name, count);
            exact.set(name, (exact.get(name) ?? 0) + count);
          }
          whole.merge(new HeavyHitters(capacity, JSON.parse(JSON.stringify(hitters))));
        }
        const held = new Map(whole.toJSON().items);
        const short = whole.other / (capacity + 1);
        for (const [name, count] of exact) {
          expect(held.get(name) ?? 0).toBeLessThanOrEqual(count);
          expect(held.get(name) ?? 0).toBeGreaterThanOrEqual(count - short);
        }
        const all = [...exact.values()].reduce((sum, count) => sum + count, 0);
        expect(total(whole.top())).toBe(all);
        expect(held.size).toBeLessThanOrEqual(2 * capacity);
        expect(whole.top().items.length).toBeLessThanOrEqual(capacity);
      },
    ),
    { numRuns: runs(300) },
  );
});

test("D11 ten million distinct names hold no more than the bound, and the frequent ones are first", () => {
  const names = isQuick ? 300_000 : 10_000_000;
  const capacity = 1_000;
  const hitters = new HeavyHitters(capacity);
  const exact = new Map<string, number>();
  let most = 0;
  for (let n = 0; n < names; n += 1) {
    hitters.add(`once-${n}`, 1);
    most = Math.max(most, hitters.size);
    if (n % 50 !== 0) continue;
    // Each of them a two-hundred-and-fifty-fifth of all: four times what a count may be short by.
    const name = `often-${(n / 50) % 5}`;
    hitters.add(name, 1);
    exact.set(name, (exact.get(name) ?? 0) + 1);
  }
  expect(most).toBeGreaterThan(capacity);
  expect(most).toBeLessThanOrEqual(2 * capacity);
  const top = hitters.top();
  expect(total(top)).toBe(names + names / 50);
  const first = top.items.slice(0, exact.size);
  expect(first.map(([name]) => name).toSorted()).toEqual([...exact.keys()].toSorted());
  for (const [name, count] of first) {
    expect(count).toBeLessThanOrEqual(exact.get(name) ?? 0);
    expect(count).toBeGreaterThanOrEqual((exact.get(name) ?? 0) - hitters.other / (capacity + 1));
  }
}, 60_000);
