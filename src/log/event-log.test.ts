import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import type { HeadgateError } from "../errors.ts";
import { createMetrics } from "../metrics.ts";
import { takeDataDir } from "./data-dir.ts";
import { createEmbeddedTopics, EmbeddedPublisher } from "./embedded.ts";
import type { LogEntry, RecordEntry } from "./entry.ts";
import { EventLog } from "./event-log.ts";
import type { Position } from "./position.ts";
import type { StoredEntry } from "./stored-entry.ts";
import { runs } from "../../test/support/effort.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

function record(
  offset: number,
  { topic: name = "t", partition = 0, bytes = 10, timestampMs = 1000 } = {},
): RecordEntry {
  return {
    kind: "record",
    topic: name,
    partition,
    offset,
    timestampMs,
    timestampType: "create",
    key: Buffer.from(`k${offset}`),
    value: Buffer.alloc(bytes, 120),
    headers: [["type", Buffer.from("x")]],
  };
}

function topic(name = "t", tag = "a", offsets: number[] = [0, 0]): LogEntry {
  return { kind: "topic", topic: name, tag, offsets };
}

function memoryLog(now?: () => number): EventLog {
  return new EventLog({ path: ":memory:", durable: false, tailBytes: 2000, ...(now && { now }) });
}

describe("the log", () => {
  test("returns what was stored, bytes and all, from memory and from disk", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "log.db");
    const odd: RecordEntry = {
      ...record(0, { timestampMs: -1 }),
      key: null,
      value: Buffer.from([0, 255, 13, 10]),
      headers: [
        ["a", Buffer.from([255])],
        ["a", Buffer.from("é")],
      ],
    };
    const entries: LogEntry[] = [
      topic(),
      odd,
      { ...record(1), value: null },
      {
        kind: "skipped",
        topic: "t",
        partition: 1,
        offset: 0,
        timestampMs: 5,
        reason: "too-large",
        key: null,
        headers: [],
      },
      { kind: "advance", topic: "t", partition: 1, next: 4 },
      { kind: "gap", topic: "t", partition: 1, next: 9 },
    ];
    let live: unknown;
    {
      using log = new EventLog({ path, durable: true });
      log.append(entries);
      live = plain(log.after(0, 100));
    }
    using log = new EventLog({ path, durable: true });
    expect(plain(log.after(0, 100))).toEqual(live);
    expect(log.topic("t")).toEqual({ tag: "a", offsets: [2, 9] });
    expect(log.find("t", 0, 0)?.value).toEqual(new Uint8Array([0, 255, 13, 10]));
    expect(log.find("t", 1, 0)?.reason).toBe("too-large");
    expect(log.find("t", 1, 3)).toBeUndefined();
  });

  test("stores an offset once, however often it is read", () => {
    using log = memoryLog();
    log.append([topic(), record(0), record(1)]);
    log.append([
      record(0),
      record(1),
      record(2),
      { kind: "advance", topic: "t", partition: 0, next: 2 },
    ]);
    expect(log.after(0, 100).map((e) => e.offset)).toEqual([-1, 0, 1, 2]);
  });

  test("knows where every partition stood at any seq, across checkpoints and trims", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 3 })), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.nat(60),
        (steps, trimmed) => {
          using log = memoryLog();
          log.append([topic("t", "a", [0, 0, 0])]);
          const history: number[][] = [[], [0, 0, 0]];
          const offsets = [0, 0, 0];
          for (const [partition, step] of steps) {
            // Many entries a step, so that checkpoints come into it.
            for (let i = 0; i < 60; i += 1) {
              offsets[partition] = (offsets[partition] ?? 0) + step;
              log.append([record((offsets[partition] ?? 0) - 1, { partition })]);
              history.push([...offsets]);
            }
          }
          log.trim({ arrivedBeforeMs: Number.MAX_SAFE_INTEGER, maxBytes: 0 }, trimmed);
          for (let seq = Math.max(1, log.baseSeq); seq <= log.headSeq; seq += 37) {
            expect(log.positionAt(seq).get("t")?.offsets).toEqual(history[seq] ?? []);
            expect(log.seqBefore(log.positionAt(seq))).toBe(seq);
          }
        },
      ),
      { numRuns: runs(15) },
    );
  });

  test("trims a prefix by arrival and by bytes, and raises the floors", () => {
    let nowMs = 0;
    using log = memoryLog(() => nowMs);
    log.append([topic("t", "a", [7, 0])]);
    expect(log.floor("t")?.offsets).toEqual([7, 0]);
    for (nowMs = 1; nowMs <= 10; nowMs += 1) log.append([record(6 + nowMs)]);
    expect(log.trim({ arrivedBeforeMs: 5, maxBytes: 1e9 }, 2)).toBe(2);
    expect(log.trim({ arrivedBeforeMs: 5, maxBytes: 1e9 }, 100)).toBe(3);
    expect(log.floor("t")?.offsets).toEqual([11, 0]);
    const held = log.heldBytes;
    expect(log.trim({ arrivedBeforeMs: 0, maxBytes: held - 1 }, 100)).toBe(1);
    expect(log.trim({ arrivedBeforeMs: 0, maxBytes: log.heldBytes }, 100)).toBe(0);
    expect(log.trim({ arrivedBeforeMs: 0, maxBytes: 0 }, 100)).toBe(5);
    expect(log.heldBytes).toBe(0);
    expect(log.topic("t")?.offsets).toEqual([17, 0]);
    log.append([record(17)]);
    expect(log.after(log.baseSeq, 10).map((e) => e.offset)).toEqual([17]);
  });

  test("F9 a truncated partition gives its offsets again", () => {
    using log = memoryLog();
    log.append([topic(), record(0), record(1), record(2, { bytes: 50 })]);
    const held = log.heldBytes;
    log.append([{ kind: "gap", topic: "t", partition: 0, next: 2 }]);
    expect(log.heldBytes).toBeLessThan(held);
    log.append([record(2)]);
    expect(log.topic("t")?.offsets).toEqual([3, 0]);
    expect(log.find("t", 0, 2)?.value?.byteLength).toBe(10);
    expect(log.after(0, 10).map((e) => e.kind)).toEqual([
      "topic",
      "record",
      "record",
      "gap",
      "record",
    ]);
  });

  test("B10 a re-created topic has its own records, floors and look-ups", () => {
    using log = memoryLog();
    log.append([topic("t", "a", [0]), record(0), record(1)]);
    const old: Position = new Map([["t", { tag: "a", offsets: [1] }]]);
    log.append([topic("t", "b", [0]), record(0, { bytes: 3 })]);
    expect(log.find("t", 0, 0)?.value?.byteLength).toBe(3);
    expect(log.find("t", 0, 1)).toBeUndefined();
    expect(log.floor("t")).toEqual({ tag: "b", offsets: [0] });
    expect(log.seqBefore(old)).toBe(log.headSeq);
    expect(log.seqBefore(new Map([["t", { tag: "b", offsets: [0] }]]))).toBe(4);
  });

  test("F5 a topic that grows keeps its floors, and its new partitions begin at 0", () => {
    using log = memoryLog();
    log.append([
      topic("t", "a", [5]),
      record(5),
      topic("t", "a", [6, 0]),
      record(0, { partition: 1 }),
    ]);
    expect(log.floor("t")?.offsets).toEqual([5, 0]);
    expect(log.seqBefore(new Map([["t", { tag: "a", offsets: [6] }]]))).toBe(3);
  });

  test("stores nothing of a batch that fails, and says why until one goes through", () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "log.db");
    using log = new EventLog({ path, durable: true });
    log.append([topic(), record(0)]);
    expect(() => log.append([record(1), record(0, { topic: "unknown" })])).toThrow(
      expect.objectContaining({ code: "log-unwritable" }) as HeadgateError,
    );
    expect(log.fault?.code).toBe("log-unwritable");
    expect(log.after(0, 10)).toHaveLength(2);
    log.append([record(1)]);
    expect(log.fault).toBeUndefined();
    expect(log.after(0, 10).map((e) => e.seq)).toEqual([1, 2, 3]);
  });
});

test("embedded publishes of one turn are stored in order, with their coordinates", async () => {
  using log = new EventLog({ path: ":memory:", durable: true });
  createEmbeddedTopics(log, ["a", "b"]);
  createEmbeddedTopics(log, ["a", "b"]);
  const publisher = new EmbeddedPublisher({ log, metrics: createMetrics() });
  const out = (name: string) => ({ topic: name, key: null, value: Buffer.from(name), headers: [] });
  const all = await Promise.all([
    publisher.publish([out("a"), out("b")]),
    publisher.publish([out("a")]),
  ]);
  expect(all.flat()).toEqual([
    { topic: "a", partition: 0, offset: 0 },
    { topic: "b", partition: 0, offset: 0 },
    { topic: "a", partition: 0, offset: 1 },
  ]);
  expect(log.headSeq).toBe(5);
  await publisher.close();
  expect(publisher.publish([out("a")])).rejects.toMatchObject({ code: "shutting-down" });
});

test("a second user of a DATA_DIR is refused with a clear message", () => {
  using directory = temporaryDirectory();
  const { path } = directory;
  {
    using _held = takeDataDir(path);
    expect(() => takeDataDir(path)).toThrow(/in use by another Headgate process/);
  }
  using again = takeDataDir(path);
  expect(again.logFile("a/b")).toBe(join(path, "kafka-a=2fb.db"));
});

/** Buffers and Uint8Arrays alike. */
function plain(entries: readonly StoredEntry[]): unknown {
  const hex = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("hex");
  return entries.map((entry) => ({
    ...entry,
    key: hex(entry.key),
    value: hex(entry.value),
    headers: entry.headers.map(([name, value]) => [name, hex(value)]),
  }));
}
