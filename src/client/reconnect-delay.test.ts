import { expect, test } from "bun:test";
import { reconnectDelayMs } from "./reconnect-delay.ts";

const backoff = { firstMs: 1000, factor: 2, maxMs: 30_000 };

const delays = (random: number, retryMs = 0): number[] =>
  [0, 1, 2, 3, 4, 5, 60, 5000].map((attempt) =>
    reconnectDelayMs({ attempt, backoff, retryMs, random }),
  );

test("waits grow by the factor up to the longest, and are jittered down to their half", () => {
  expect(delays(1)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(delays(0)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
});

test("nobody comes back before the server's own time, within reason", () => {
  expect(delays(0, 3000).slice(0, 4)).toEqual([3000, 3000, 3000, 4000]);
  expect(delays(0, 1e12)[0]).toBe(300_000);
});
