import { expect, test } from "bun:test";
import {
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatInstant,
  formatMs,
  formatRate,
} from "./figures.ts";

test("figures are short, and have their units", () => {
  expect([0, 12_345, 1_234_567, 2_500_000_000].map(formatCount)).toEqual([
    "0",
    "12,345",
    "1.23M",
    "2.5G",
  ]);
  expect([0, 0.04, 0.5, 12.34, 1234.5, 23_456].map(formatRate)).toEqual([
    "0",
    "0",
    "0.5",
    "12.3",
    "1,235",
    "23.5k",
  ]);
  expect([0, 0.44, 12.4, 999, 1234, 90_000].map(formatMs)).toEqual([
    "0 ms",
    "0.4 ms",
    "12 ms",
    "999 ms",
    "1.23 s",
    "1m 30s",
  ]);
  expect([0, 512, 1536, 5 << 20].map(formatBytes)).toEqual(["0 B", "512 B", "1.5 KiB", "5 MiB"]);
});

test("durations have their two largest units", () => {
  const durations = [0, 999, 5000, 725_000, 3_600_000, 90_061_000];
  expect(durations.map(formatDuration)).toEqual(["0s", "0s", "5s", "12m 5s", "1h", "1d 1h"]);
});

test("times are the reader's, and instants everybody's; what is none is a number", () => {
  const at = new Date(2026, 10, 21, 4, 3, 7, 42);
  expect(formatClock(at.getTime())).toBe("04:03:07.042");
  expect(formatInstant(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(formatInstant(9e15)).toBe("9000000000000000");
});
