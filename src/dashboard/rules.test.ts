import { describe, expect, test } from "bun:test";
import type { SourceStatus } from "../log/source.ts";
import { observe, type Second, seconds } from "../../test/support/observations.ts";
import type { Observation } from "./observation.ts";
import { HEALTH_RULES } from "./rules.ts";

/** The message of each rule that holds, by its name. */
function holding(seen: Observation): Record<string, string> {
  const checked = HEALTH_RULES.map(({ name, check }) => [name, check(seen)] as const);
  return Object.fromEntries(
    checked.flatMap(([name, message]) => (message === undefined ? [] : [[name, message]])),
  );
}

const partition = { topic: "orders", partition: 3, offset: 1, highWatermark: 1, lag: 0 };

function source(consumer: Partial<SourceStatus["consumer"]>): SourceStatus {
  return {
    mode: "kafka",
    producer: { connected: true },
    consumer: { connected: true, groupId: null, partitions: [], ...consumer },
  };
}

const NOW_MS = observe([]).nowMs;

const MINUTE = seconds(60);

/** Of each rule: what makes it hold, what comes just short of it, and words of its message. */
const CASES: readonly (readonly [
  rule: string,
  holds: Observation,
  holdsNot: Observation,
  message: string,
])[] = [
  ["stopping", observe([], { isStopping: true }), observe([]), "The server is stopping"],
  [
    "not-ready",
    observe([], { missing: ["topic a has not been read", "topic b has not been read"] }),
    observe([]),
    "The server is not ready: topic a has not been read; topic b has not been read",
  ],
  [
    "kafka-away",
    observe([], { degraded: ["kafka"], source: source({ lastError: "timed out" }) }),
    // It is another instance's, or an old one.
    observe([], { source: source({ lastError: "timed out" }) }),
    "Kafka does not answer: timed out",
  ],
  [
    "disk",
    observe([], { degraded: ["disk"] }),
    observe([]),
    "The local log cannot be written: look at DATA_DIR",
  ],
  [
    "records-lost",
    observe([...MINUTE, { gaps: 2 }]),
    observe([{ gaps: 2 }, ...seconds(61)]),
    "2 gaps between Kafka and the local log in the last minute",
  ],
  [
    "partitions-stale",
    observe([], {
      source: source({ partitions: [{ ...partition, staleSince: NOW_MS - 10_000 }] }),
    }),
    observe([], { source: source({ partitions: [{ ...partition, staleSince: NOW_MS - 9999 }] }) }),
    "1 partitions are not read, the first is orders/3",
  ],
  [
    "partitions-stale",
    observe([], {
      source: source({ partitions: [partition, { ...partition, lastError: "why" }] }),
    }),
    observe([], { source: source({ partitions: [partition] }) }),
    "1 partitions are not read, the first is orders/3: why",
  ],
  [
    "lag-growing",
    observe([{ lag: 9000 }, ...MINUTE, { lag: 10_001 }]),
    observe([{ lag: 9000 }, ...MINUTE, { lag: 10_000 }]),
    "Kafka is 10001 records ahead, 1001 more than a minute ago",
  ],
  [
    "lag-growing",
    observe([{ lag: 20_000 }, ...MINUTE, { lag: 20_001 }]),
    observe([{ lag: 20_000 }, ...MINUTE, { lag: 19_999 }]),
    "Kafka is 20001 records ahead, 1 more than a minute ago",
  ],
  [
    "publisher-away",
    observe([], { source: { ...source({}), producer: { connected: false } } }),
    // Its disk is told of instead.
    observe([], { source: { ...source({}), mode: "embedded", producer: { connected: false } } }),
    "Kafka cannot be reached to publish to all partitions",
  ],
  ...["failed", "timeout", "queue-full"].map(
    (result) =>
      [
        "publish-failed",
        observe([{ published: { ok: 5, [result]: 3 } }]),
        observe([{ published: { ok: 5, duplicate: 4, [result]: 0 } }]),
        "3 events could not be published in the last minute",
      ] as const,
  ),
  [
    "delivery-slow",
    observe([{ latenciesMs: latencies(98, 2) }]),
    observe([{ latenciesMs: latencies(99, 1) }]),
    "One event in a hundred came later than",
  ],
  [
    "overloaded",
    observe([{ shed: { overloaded: 1 } }]),
    // What one address or user brings on itself, and what a restart does.
    observe([{ shed: { "too-many-connections": 9, shutdown: 9 } }]),
    "1 streams were turned away in the last minute: SSE_MAX_CONNECTIONS are open",
  ],
  [
    "loop-stalled",
    observe([{ stalls: 1 }, { stalls: 2 }]),
    observe([{ stalls: 2 }]),
    "The event loop was held up 3 times in the last minute",
  ],
  [
    "records-skipped",
    observe([{ skipped: 4 }]),
    observe([{ skipped: 4 }, ...seconds(61)]),
    "4 records of the last minute cannot be shown",
  ],
  [
    "streams-stalled",
    observe([{ closed: { stalled: 2, client: 50 } }]),
    observe([{ closed: { client: 50 } }]),
    "2 streams were cut in the last minute: nobody took their bytes",
  ],
  [
    "aggregation-behind",
    observe([], { aggregationLag: 10_001 }),
    observe([], { aggregationLag: 10_000 }),
    "10001 entries of the log are not counted yet",
  ],
  [
    "dashboard-sections",
    observe([], { sectionFaults: ["a", "b", "c", "d", "e"] }),
    observe([]),
    "a; b; c; and 2 more",
  ],
];

describe.each(CASES)("the rule %s", (rule, holds, holdsNot, message) => {
  test("holds, and says why", () => {
    expect(Object.keys(holding(holds))).toEqual([rule]);
    expect(holding(holds)[rule]).toStartWith(message);
  });

  test("does not hold short of it", () => {
    expect(holding(holdsNot)).toEqual({});
  });
});

test("every rule is tested, has a name of its own, and says when it holds", () => {
  const names = HEALTH_RULES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !CASES.some(([rule]) => rule === name))).toEqual([]);
  for (const { when, points } of HEALTH_RULES) {
    expect(when).toMatch(/^\S.*[^.]$/);
    expect(points).toBeWithin(1, 101);
  }
});

test("of a log that is not there yet nothing is said", () => {
  expect(holding(observe([], { aggregationLag: null }))).toEqual({});
});

/** So many deliveries of 5 ms, and so many of 2 s. */
function latencies(quick: number, slow: number): NonNullable<Second["latenciesMs"]> {
  return [...Array<number>(quick).fill(5), ...Array<number>(slow).fill(2000)];
}
