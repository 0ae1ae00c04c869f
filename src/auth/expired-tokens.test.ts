import { expect, test } from "bun:test";
import { ExpiredTokens } from "./expired-tokens.ts";

test("a token is remembered until it is refused anyway, and then makes room", () => {
  const tokens = new ExpiredTokens();
  tokens.remember("a", { untilMs: 100, nowMs: 0 });
  tokens.remember("b", { untilMs: 200, nowMs: 50 });
  expect([tokens.has("a"), tokens.has("b"), tokens.has("c")]).toEqual([true, true, false]);
  tokens.remember("c", { untilMs: 300, nowMs: 100 });
  expect([tokens.has("a"), tokens.has("b"), tokens.has("c")]).toEqual([false, true, true]);
});

test("what is over already is not remembered", () => {
  const tokens = new ExpiredTokens();
  tokens.remember("a", { untilMs: 100, nowMs: 100 });
  expect(tokens.size).toBe(0);
});

test("C6 at most 10,000 are remembered, and the oldest goes first", () => {
  const tokens = new ExpiredTokens();
  for (let n = 0; n < 10_001; n++) tokens.remember(`${n}`, { untilMs: 1_000, nowMs: 0 });
  expect(tokens.size).toBe(10_000);
  expect([tokens.has("0"), tokens.has("1"), tokens.has("10000")]).toEqual([false, true, true]);
});

test("a token that ends two streams takes one place", () => {
  const tokens = new ExpiredTokens();
  tokens.remember("a", { untilMs: 100, nowMs: 0 });
  tokens.remember("a", { untilMs: 100, nowMs: 1 });
  expect(tokens.size).toBe(1);
});
