import { expect, test } from "bun:test";
import { ExpiredTokens } from "./expired-tokens.ts";

test("a token is remembered until it is refused anyway, and then makes room", () => {
  const tokens = new ExpiredTokens();
  tokens.remember({ fingerprint: "a", untilMs: 100 }, 0);
  tokens.remember({ fingerprint: "b", untilMs: 200 }, 50);
  expect([tokens.has("a"), tokens.has("b"), tokens.has("c")]).toEqual([true, true, false]);
  tokens.remember({ fingerprint: "c", untilMs: 300 }, 100);
  expect([tokens.has("a"), tokens.has("b"), tokens.has("c")]).toEqual([false, true, true]);
});

test("what is over already is not remembered", () => {
  const tokens = new ExpiredTokens();
  tokens.remember({ fingerprint: "a", untilMs: 100 }, 100);
  expect(tokens.size).toBe(0);
});

test("C6 at most 10,000 are remembered, and the oldest goes first", () => {
  const tokens = new ExpiredTokens();
  for (let n = 0; n < 10_001; n++) tokens.remember({ fingerprint: `${n}`, untilMs: 1_000 }, 0);
  expect(tokens.size).toBe(10_000);
  expect([tokens.has("0"), tokens.has("1"), tokens.has("10000")]).toEqual([false, true, true]);
});

test("a token that ends two streams takes one place", () => {
  const tokens = new ExpiredTokens();
  tokens.remember({ fingerprint: "a", untilMs: 100 }, 0);
  tokens.remember({ fingerprint: "a", untilMs: 100 }, 1);
  expect(tokens.size).toBe(1);
});
