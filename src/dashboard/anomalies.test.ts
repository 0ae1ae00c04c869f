import { describe, expect, test } from "bun:test";
import { observe, type Second, seconds } from "../../test/support/observations.ts";
import { ANOMALY_RULES } from "./anomalies.ts";

function holding(past: readonly Second[]): Record<string, string> {
  const seen = observe(past);
  const checked = ANOMALY_RULES.map(({ name, check }) => [name, check(seen)] as const);
  return Object.fromEntries(
    checked.flatMap(([name, message]) => (message === undefined ? [] : [[name, message]])),
  );
}

/** Two minutes of this, and then ten seconds of that. */
function then(before: Second, now: Second): Second[] {
  return [...seconds(120, before), ...seconds(10, now)];
}

describe("arrivals that stop", () => {
  test("are an anomaly where they came steadily", () => {
    expect(holding(then({ arrived: 2 }, {}))).toEqual({
      "arrivals-stopped": "No record has come for 10 s; before, there were 2.0 a second",
    });
  });

  test("are none where few came, or now and then, or one still comes", () => {
    const nowAndThen = [...seconds(60), { arrived: 1000 }, ...seconds(69)];
    expect(holding(nowAndThen)).toEqual({});
    expect(holding(then({ arrived: 0.5 }, {}))).toEqual({});
    expect(holding([...then({ arrived: 2 }, {}), { arrived: 1 }])).toEqual({});
  });

  test("are none while the time before is not known", () => {
    expect(holding([...seconds(59, { arrived: 2 }), ...seconds(10)])).toEqual({});
    expect(holding([...seconds(60, { arrived: 2 }), ...seconds(10)])).not.toEqual({});
  });
});

describe("a burst of arrivals", () => {
  test("is more than five times what came before", () => {
    expect(holding(then({ arrived: 10 }, { arrived: 51 }))).toEqual({
      "arrivals-burst": "51.0 records a second come; before, there were 10.0",
    });
    expect(holding(then({ arrived: 10 }, { arrived: 50 }))).toEqual({});
  });

  test("is none where such bursts are usual, or the numbers are small, or nothing came before", () => {
    const minute = [...seconds(50), ...seconds(10, { arrived: 1000 })];
    expect(holding([...minute, ...minute, ...seconds(10, { arrived: 1000 })])).toEqual({});
    expect(holding(then({ arrived: 0.1 }, { arrived: 9 }))).toEqual({});
    expect(holding(then({}, { arrived: 1000 }))).toEqual({});
  });
});

describe("a burst of resets", () => {
  test("is ten at least, and more than five times what is usual", () => {
    expect(holding(then({}, { resets: 1 }))).toEqual({
      "resets-burst": "10 streams were reset in the last 10 s",
    });
    expect(holding(then({ resets: 1 }, { resets: 5 }))).toEqual({});
    expect(holding([...seconds(121), { resets: 9 }])).toEqual({});
  });
});

describe("a burst of disconnects", () => {
  test("is a tenth of all streams at least", () => {
    const end = { closed: { client: 10, shutdown: 1 } };
    expect(holding(then({ connections: 1100 }, end))).toEqual({
      "disconnects-burst": "110 streams ended in the last 10 s",
    });
    expect(holding(then({ connections: 1101 }, end))).toEqual({});
  });

  test("is none where streams come and go all the time", () => {
    const usual = { connections: 100, closed: { client: 3 } };
    expect(holding(then(usual, { closed: { client: 15 } }))).toEqual({});
    expect(holding(then(usual, { closed: { client: 16 } }))).not.toEqual({});
  });
});

test("a server without traffic has no anomalies, however long it runs", () => {
  for (const length of [0, 1, 10, 70, 131]) expect(holding(seconds(length))).toEqual({});
});
