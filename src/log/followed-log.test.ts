import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { runs } from "../../test/support/effort.ts";
import { entriesAfter, expectSameAnswers } from "../../test/support/log-answers.ts";
import type { LogEntry, RecordEntry } from "./entry.ts";
import { EventLog } from "./event-log.ts";
import { FollowedLog } from "./followed-log.ts";
import { markHeader } from "./idempotency.ts";
import type { Position, TopicPosition } from "./position.ts";
import type { ReadableLog } from "./readable-log.ts";
import { TopicStates } from "./topic-state.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

function record(offset: number, more: Partial<RecordEntry> = {}): RecordEntry {
  return {
    kind: "record",
    topic: "t",
    partition: 0,
    offset,
    timestampMs: offset * 10,
    timestampType: "create",
    key: Buffer.from(`k${offset}`),
    value: Buffer.from("x".repeat(offset % 50)),
    // Some are marked, and some of those more than once: they only move their partition on.
    headers: offset % 20 === 0 ? [markHeader({ digest: "d", index: offset % 3, count: 3 })] : [],
    ...more,
  };
}

function records(from: number, count: number): RecordEntry[] {
  return Array.from({ length: count }, (_, i) => record(from + i));
}

const TOPIC: LogEntry = { kind: "topic", topic: "t", tag: "a", offsets: [0, 0] };
const ALL = { arrivedBeforeMs: Number.MAX_SAFE_INTEGER, maxBytes: 0 };

/** A writer and its follower. */
function pair(options: { tailBytes?: number; stepEntries?: number } = {}) {
  const directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  const log = new EventLog({ path, durable: false, tailBytes: 500 });
  const followed = new FollowedLog({ path, tailBytes: 500, ...options });
  return {
    log,
    followed,
    [Symbol.dispose]: () => {
      followed[Symbol.dispose]();
      log[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}

function catchUp(followed: FollowedLog): void {
  while (followed.refresh());
}

describe("a followed log", () => {
  test("stands still until it is refreshed, and then says once that it has gained entries", () => {
    using both = pair();
    const { log, followed } = both;
    let appended = 0;
    followed.events.on("appended", () => (appended += 1));
    log.append([TOPIC, ...records(0, 3)]);
    expect(followed.headSeq).toBe(0);
    expect(followed.topic("t")).toBeUndefined();
    expect(followed.after(0, 10)).toEqual([]);
    expect(followed.before(10, 10)).toEqual([]);
    expect(followed.refresh()).toBe(false);
    expect(followed.refresh()).toBe(false);
    expect(appended).toBe(1);
    expect(followed.after(0, 10)).toEqual(log.after(0, 10));
    expect(followed.topic("t")).toEqual({ tag: "a", offsets: [3, 0] });
  });

  test("takes in a long append in steps, each of which it once was", () => {
    using both = pair({ stepEntries: 4 });
    const { log, followed } = both;
    log.append([TOPIC, ...records(0, 9)]);
    const heads: number[] = [];
    followed.events.on("appended", () => heads.push(followed.headSeq));
    expect(followed.refresh()).toBe(true);
    expect(followed.topic("t")?.offsets).toEqual([3, 0]);
    expect(followed.after(0, 100).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(followed.refresh()).toBe(true);
    expect(followed.refresh()).toBe(false);
    expect(heads).toEqual([4, 8, 10]);
  });

  test("F9 forgets the newest entries where a truncated partition's are among them", () => {
    using both = pair({ tailBytes: 1 << 20 });
    const { log, followed } = both;
    log.append([TOPIC, ...records(0, 5)]);
    catchUp(followed);
    log.append([{ kind: "gap", topic: "t", partition: 0, next: 2 }]);
    log.append([record(2, { value: Buffer.from("new") })]);
    catchUp(followed);
    expect(followed.after(0, 100).map(({ kind, offset }) => `${kind} ${offset}`)).toEqual([
      "topic -1",
      "record 0",
      "record 1",
      "gap 1",
      "record 2",
    ]);
    expect(followed.find("t", 0, 2)?.value).toEqual(new Uint8Array(Buffer.from("new")));
  });

  test("F9 says no position between a truncation and the refresh that tells of it", () => {
    using both = pair();
    const { log, followed } = both;
    log.append([TOPIC, ...records(0, 20)]);
    catchUp(followed);
    const before = followed.positionAt(18);
    log.append([{ kind: "gap", topic: "t", partition: 0, next: 2 }]);
    expect(() => followed.positionAt(18)).toThrow("truncated");
    log.append([record(2)]);
    expect(() => followed.positionAt(18)).toThrow("truncated");
    catchUp(followed);
    expect(before.get("t")?.offsets).toEqual([18 - 1, 0]);
    expect(followed.positionAt(18).get("t")?.offsets).toEqual([2, 0]);
  });

  test("B10 sees a topic that is made anew, and finds its records", () => {
    using both = pair();
    const { log, followed } = both;
    log.append([TOPIC, ...records(0, 3)]);
    catchUp(followed);
    log.append([{ kind: "topic", topic: "t", tag: "b", offsets: [0] }, record(0)]);
    catchUp(followed);
    expect(followed.topic("t")).toEqual({ tag: "b", offsets: [1] });
    expect(followed.floor("t")).toEqual({ tag: "b", offsets: [0] });
    expect(followed.find("t", 0, 0)?.tag).toBe("b");
  });

  test("goes on at the base where the writer has trimmed what it had not read yet", () => {
    using both = pair();
    const { log, followed } = both;
    log.append([TOPIC, ...records(0, 3)]);
    catchUp(followed);
    log.append(records(3, 10));
    log.trim(ALL, 8);
    let trimmed = 0;
    followed.events.on("trimmed", () => (trimmed += 1));
    catchUp(followed);
    expect(trimmed).toBe(1);
    expect(followed.baseSeq).toBe(8);
    expect(followed.floor("t")?.offsets).toEqual([7, 0]);
    expect(followed.topic("t")?.offsets).toEqual([13, 0]);
    expect(followed.after(8, 100).map(({ seq }) => seq)).toEqual([9, 10, 11, 12, 13, 14]);
  });

  describe("what was trimmed since the last refresh", () => {
    test("is not passed over: there is nothing to read until the base has moved", () => {
      using both = pair({ tailBytes: 1 });
      const { log, followed } = both;
      log.append([TOPIC, ...records(0, 9)]);
      catchUp(followed);
      log.trim(ALL, 5);
      expect(followed.after(2, 100)).toEqual([]);
      expect(followed.after(5, 100).map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10]);
      catchUp(followed);
      expect(followed.baseSeq).toBe(5);
    });

    test("is where a position leads whose next record is among it", () => {
      using both = pair();
      const { log, followed } = both;
      log.append([TOPIC, ...records(0, 9)]);
      catchUp(followed);
      const place = (offset: number): number =>
        followed.seqBefore(new Map([["t", { tag: "a", offsets: [offset, 0] }]]));
      expect([place(2), place(6)]).toEqual([3, 7]);
      log.trim(ALL, 5);
      expect([place(2), place(3)]).toEqual([0, 0]);
      expect([place(4), place(6)]).toEqual([5, 7]);
    });

    test("has no position of its own any more, and the one at the base is not forgotten", () => {
      using both = pair();
      const { log, followed } = both;
      log.append([TOPIC, ...records(0, 9)]);
      log.trim(ALL, 2);
      catchUp(followed);
      log.trim(ALL, 5);
      const atBase: [string, TopicPosition][] = [["t", { tag: "a", offsets: [1, 0] }]];
      expect([...followed.positionAt(2)]).toEqual(atBase);
      expect([...followed.positionAt(4)]).toEqual(atBase);
      expect(followed.positionAt(8).get("t")?.offsets).toEqual([7, 0]);
    });

    test("leaves no block and no bytes where it was all that was known", () => {
      using both = pair();
      const { log, followed } = both;
      log.append([TOPIC, ...records(0, 9)]);
      catchUp(followed);
      log.append(records(9, 5));
      log.trim(ALL, 12);
      expect(followed.openBlock()).toEqual({ from: 10, latest: new Map() });
      expect(followed.heldBytes).toBe(0);
    });
  });

  test("answers as the log itself does whenever it has caught up, whatever has happened", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        using both = pair({ stepEntries: 7 });
        const { log, followed } = both;
        const once = new Map<number, Position>([[0, new Map()]]);
        // Of what is truncated or trimmed before it was read, the file tells no more than what is left.
        let isToldAll = true;
        for (const apply of steps) {
          const { headSeq } = log;
          const state = new TopicStates(log.positionAt(headSeq));
          apply(log);
          for (const entry of entriesAfter(log, headSeq)) {
            const next = state.get(entry.topic)?.offsets[entry.partition] ?? 0;
            if (entry.kind === "gap" && entry.offset + 1 < next) isToldAll = false;
            state.advance(entry);
            once.set(entry.seq, state.snapshot());
          }
          if (apply !== refresh) continue;
          if (followed.headSeq < log.baseSeq) isToldAll = false;
          if (followed.refresh()) {
            if (isToldAll)
              expect(headOf(followed)).toEqual(once.get(followed.headSeq) ?? new Map());
            continue;
          }
          isToldAll = true;
          expectSameAnswers(followed, log, NAMES);
        }
        catchUp(followed);
        expectSameAnswers(followed, log, NAMES);
      }),
      { numRuns: runs(40) },
    );
  });
});

/** What may happen to a log, made for whatever state it is in. */
type Apply = (log: EventLog) => void;

const NAMES = ["t", "u"] as const;

function refresh(): void {
  // The loop above does it: it is the follower's step, not the log's.
}

function stateOf(log: EventLog, topic: string): { tag: string; offsets: readonly number[] } {
  const state = log.topic(topic);
  if (state) return state;
  log.append([{ kind: "topic", topic, tag: "a", offsets: [3] }]);
  return { tag: "a", offsets: [3] };
}

const place = fc.record({ topic: fc.constantFrom(...NAMES), partition: fc.nat(2) });

const step: fc.Arbitrary<Apply> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Apply>(refresh) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(place, fc.constantFrom(1, 2, 5, 30, 600), fc.nat(2))
      .map(([{ topic, partition: any }, count, skipped]): Apply => (log) => {
        const { offsets } = stateOf(log, topic);
        const partition = any % offsets.length;
        const next = (offsets[partition] ?? 0) + skipped;
        log.append(Array.from({ length: count }, (_, i) => record(next + i, { topic, partition })));
      }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(place, fc.constantFrom("advance", "gap"), fc.integer({ min: -9, max: 4 }))
      .map(([{ topic, partition: any }, kind, by]): Apply => (log) => {
        const { offsets } = stateOf(log, topic);
        const partition = any % offsets.length;
        const next = Math.max(0, (offsets[partition] ?? 0) + by);
        log.append([{ kind, topic, partition, next }]);
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...NAMES), fc.boolean())
      .map(([topic, isNew]): Apply => (log) => {
        const { tag, offsets } = stateOf(log, topic);
        if (isNew) log.append([{ kind: "topic", topic, tag: `${tag}b`, offsets: [0] }]);
        else log.append([{ kind: "topic", topic, tag, offsets: [...offsets, 0].slice(0, 4) }]);
      }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1, 3, 40, 700).map(
      (count): Apply =>
        (log) =>
          void log.trim(ALL, count),
    ),
  },
);

function headOf(log: ReadableLog): Position {
  return log.positionAt(log.headSeq);
}
