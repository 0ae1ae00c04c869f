import { describe, expect, test } from "bun:test";
import { finish, HOUR } from "../../test/support/counting.ts";
import { type WindowName, WINDOWS } from "./aggregation.ts";
import { RollingWindows, type Times } from "./rolling-windows.ts";

const NAMES: readonly WindowName[] = ["10s", "1m", "5m", "1h"];

function windowsWith(...times: Times[]): RollingWindows {
  const windows = new RollingWindows([], { late: 0, future: 0 });
  for (const each of times) windows.count({ topic: "t", type: "x", measures: [] }, each);
  return windows;
}

/** The counts of all windows, from the shortest to the longest. */
function countsAt(windows: RollingWindows, nowMs: number): number[] {
  const figures = finish(windows.figuresAt(nowMs));
  return NAMES.map((name) => figures[name].count);
}

/** A record that arrives as it is written. */
const prompt = (at: number): Times => ({ timestampMs: at, arrivedMs: at });

describe.each(NAMES)("the window of %s", (name) => {
  const windowMs = WINDOWS[name];
  const countAt = (windows: RollingWindows, nowMs: number): number =>
    finish(windows.figuresAt(nowMs))[name].count;

  test("holds a record from its step's beginning until sixty steps have begun", () => {
    const windows = windowsWith(prompt(HOUR));
    expect(countAt(windows, HOUR)).toBe(1);
    expect(countAt(windows, HOUR + windowMs - 1)).toBe(1);
    expect(countAt(windows, HOUR + windowMs)).toBe(0);
  });

  test("drops the records of one step together, as old as its first", () => {
    const lastOfStep = HOUR + Math.ceil(windowMs / 60) - 1;
    const windows = windowsWith(prompt(HOUR), prompt(lastOfStep));
    expect(countAt(windows, HOUR + windowMs - 1)).toBe(2);
    expect(countAt(windows, HOUR + windowMs)).toBe(0);
  });

  test("covers the step under way and the fifty-nine before", () => {
    const stepMs = windowMs / 60;
    const firsts = Array.from({ length: 180 }, (_, i) => prompt(HOUR + Math.ceil(i * stepMs)));
    const windows = windowsWith(...firsts);
    const lastBegan = HOUR + Math.ceil(179 * stepMs);
    expect(countAt(windows, lastBegan)).toBe(60);
    const nextBegins = HOUR + 180 * stepMs;
    expect(countAt(windows, nextBegins - 1)).toBe(60);
    expect(countAt(windows, nextBegins)).toBe(59);
  });

  test("tells its rate by its whole length", () => {
    const windows = windowsWith(prompt(HOUR), prompt(HOUR), prompt(HOUR));
    const { ratePerSecond, ratesByTopic, ratesByType } = finish(windows.figuresAt(HOUR))[name];
    const rate = 3 / (windowMs / 1_000);
    expect({ ratePerSecond, ratesByTopic, ratesByType }).toEqual({
      ratePerSecond: rate,
      ratesByTopic: { t: rate },
      ratesByType: { x: rate },
    });
  });
});

describe("a record", () => {
  test("that is older than a window when it comes is in the longer ones only", () => {
    const windows = windowsWith({ timestampMs: HOUR - 30_000, arrivedMs: HOUR });
    expect(countsAt(windows, HOUR)).toEqual([0, 1, 1, 1]);
  });

  test("that is older than the longest window is late, and in none", () => {
    const windows = windowsWith(
      { timestampMs: HOUR - 3_600_000 + 60_000, arrivedMs: HOUR },
      { timestampMs: HOUR - 3_600_000 + 59_999, arrivedMs: HOUR },
      { timestampMs: 0, arrivedMs: HOUR },
      { timestampMs: -2, arrivedMs: HOUR },
    );
    expect(countsAt(windows, HOUR)).toEqual([0, 0, 0, 1]);
    expect([windows.late, windows.future]).toEqual([3, 0]);
  });

  test("of the future counts as of its arrival, and as a mistake from a second ahead", () => {
    const windows = windowsWith(
      { timestampMs: HOUR + 1_000, arrivedMs: HOUR },
      { timestampMs: HOUR + 1_001, arrivedMs: HOUR },
      { timestampMs: Number.MAX_SAFE_INTEGER, arrivedMs: HOUR },
    );
    expect(countsAt(windows, HOUR)).toEqual([3, 3, 3, 3]);
    expect(countsAt(windows, HOUR + 10_000)).toEqual([0, 3, 3, 3]);
    expect([windows.late, windows.future]).toEqual([0, 2]);
  });

  test("without a timestamp counts as of its arrival", () => {
    const windows = windowsWith({ timestampMs: -1, arrivedMs: HOUR });
    expect(countsAt(windows, HOUR)).toEqual([1, 1, 1, 1]);
    expect([windows.late, windows.future]).toEqual([0, 0]);
  });
});

test("a clock that is set back hides nothing that has come", () => {
  const windows = windowsWith(prompt(HOUR));
  expect(countsAt(windows, HOUR - 86_400_000)).toEqual([1, 1, 1, 1]);
});

test("no more than sixty steps of each window are held, and those that went are removed where they are stored", () => {
  const windows = windowsWith();
  const stored = new Map<string, string>();
  for (let i = 0; i < 400; i += 1) {
    // Three minutes each: none of a shorter window is left when the next one comes.
    const at = HOUR + i * 180_000;
    windows.count({ topic: "t", type: "x", measures: [] }, prompt(at));
    for (const [name, text] of windows.changes()) {
      if (text === undefined) stored.delete(name);
      else stored.set(name, text);
    }
    windows.markStored();
    expect(stored.size).toBeLessThanOrEqual(240);
  }
  const byWindow = Map.groupBy(stored.keys(), (name) => name.split(" ")[1]);
  const held = Object.fromEntries([...byWindow].map(([name, steps]) => [name, steps.length]));
  expect(held).toEqual({ "10s": 1, "1m": 1, "5m": 2, "1h": 20 });
});

test("figures are worked out a step at a time, and what is counted meanwhile is in all of them or in none", () => {
  const windows = new RollingWindows([], { late: 0, future: 0 });
  const countAt = (ms: number): void =>
    windows.count(
      { topic: "t", type: `type-${ms % 7}`, measures: [] },
      { timestampMs: ms, arrivedMs: HOUR },
    );
  for (let minutes = 0; minutes < 60; minutes += 1) countAt(HOUR - minutes * 60_000);
  const work = windows.figuresAt(HOUR);
  let steps = 0;
  for (let next = work.next(); ; next = work.next()) {
    if (next.done) {
      for (const { count, byTopic, byType } of Object.values(next.value)) {
        expect(byTopic).toEqual({ t: count });
        expect(Object.values(byType).reduce((sum, each) => sum + each, 0)).toBe(count);
      }
      break;
    }
    steps += 1;
    countAt(HOUR - ((steps * 977) % 3_000_000));
  }
  expect(steps).toBeGreaterThanOrEqual(60);
});
