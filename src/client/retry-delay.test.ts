import { expect, test } from "bun:test";
import fc from "fast-check";
import { retryDelayMs } from "./retry-delay.ts";

const NOW_MS = Date.parse("2026-11-05T10:00:00Z");

function delays(count: number, random: number): number[] {
  return Array.from({ length: count }, (_, i) =>
    retryDelayMs({ failures: i + 1, retryAfter: null, nowMs: NOW_MS, random }),
  );
}

test("delays double from 100 ms up to 5 s, and the half of each is chance", () => {
  expect(delays(8, 1)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(delays(8, 0)).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500]);
});

test.each([
  ["2", 2000],
  ["0", 0],
  ["30", 30_000],
  ["86400", 30_000],
  ["Thu, 05 Nov 2026 10:00:04 GMT", 4000],
  ["Thu, 05 Nov 2026 09:00:00 GMT", 0],
  ["Fri, 06 Nov 2026 10:00:00 GMT", 30_000],
  ["soon", 0],
  ["", 0],
])("Retry-After: %s adds %d ms", (retryAfter, addedMs) => {
  expect(retryDelayMs({ failures: 1, retryAfter, nowMs: NOW_MS, random: 1 })).toBe(addedMs + 100);
});

test("whatever the header says, the delay is a number that timers take", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.bigInt({ min: 0n }).map(String)),
      fc.nat(),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (retryAfter, failures, random) => {
        const delayMs = retryDelayMs({
          failures: failures + 1,
          retryAfter,
          nowMs: NOW_MS,
          random,
        });
        expect(delayMs).toBeWithin(50, 35_001);
      },
    ),
  );
});
