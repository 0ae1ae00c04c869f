import { expect, test } from "bun:test";
import { findHighest } from "../loadtest/peers/highest.ts";

const SEARCH = { from: 20, most: 10_000, steps: 3 };

test("the highest rate is doubled until it is too much, and then halved in between", async () => {
  const { highest, attempts } = await findHighest(SEARCH, upTo(500));
  expect(highest).toEqual({ rate: 494, keepsUp: true });
  const tried = attempts.map(({ rate }) => rate);
  // What fails is tried twice: 640 for the first time, then the middles in ratios.
  expect(tried).toEqual([20, 40, 80, 160, 320, 640, 640, 453, 538, 538, 494]);
});

test("a rate that fails once only is not too much", async () => {
  let failures = 0;
  const { highest } = await findHighest(SEARCH, (rate) => {
    const fails = rate === 40 && failures === 0;
    if (fails) failures += 1;
    return Promise.resolve({ rate, keepsUp: !fails && rate <= 160 });
  });
  expect(failures).toBe(1);
  expect(highest?.rate).toBe(160);
});

test("there is none where the first is too much, and no other than the most where none is", async () => {
  const none = await findHighest(SEARCH, upTo(10));
  expect(none.highest).toBeUndefined();
  expect(none.attempts.length).toBe(2);
  const all = await findHighest({ ...SEARCH, most: 100 }, upTo(1_000_000));
  expect(all.highest?.rate).toBe(80);
});

function upTo(limit: number): (rate: number) => Promise<{ rate: number; keepsUp: boolean }> {
  return (rate) => Promise.resolve({ rate, keepsUp: rate <= limit });
}
