import { expect, test } from "bun:test";
import fc from "fast-check";
import { finish, HOUR, recordAt } from "../../test/support/counting.ts";
import { runs } from "../../test/support/effort.ts";
import { placeEntry, type StoredEntry } from "../log/stored-entry.ts";
import { createLogger } from "../logger.ts";
import { type FieldFigures, type WindowName, WINDOWS } from "./aggregation.ts";
import { Counts } from "./counts.ts";

const SETTINGS = {
  topics: ["t", "u"],
  fields: ["n"],
  dashboardTopic: undefined,
  logger: createLogger("silent"),
};

/** What a crash leaves: all that was stored, and the entries. */
class Machine {
  readonly stored = new Map<string, string>();
  readonly entries: StoredEntry[] = [];
  counts = new Counts(SETTINGS, { seq: 0 });
  #arrivedMs = HOUR;

  append(passedMs: number, topic: string, { ageMs, type, n }: Written): void {
    this.#arrivedMs += passedMs;
    const timestampMs = ageMs === undefined ? -1 : this.#arrivedMs - ageMs;
    const seq = this.entries.length + 1;
    const data = n === undefined ? "no JSON" : { n };
    const record = recordAt(topic, seq, { timestampMs, type, data });
    this.entries.push(placeEntry(record, { seq, tag: "a", arrivedMs: this.#arrivedMs }));
  }

  get nowMs(): number {
    return this.#arrivedMs;
  }

  count(): void {
    for (const entry of this.entries.slice(this.counts.seq)) this.counts.take(entry);
  }

  save(): void {
    for (const [name, text] of this.counts.changes()) {
      if (text === undefined) this.stored.delete(name);
      else this.stored.set(name, text);
    }
    this.counts.markStored();
  }

  /** As a save that fails. */
  saveInVain(): void {
    for (const _ of this.counts.changes());
  }

  restart(): void {
    this.counts = Counts.restore(SETTINGS, [...this.stored]) ?? new Counts(SETTINGS, { seq: 0 });
  }
}

interface Written {
  /** Undefined: without a timestamp. Negative: of the future. */
  readonly ageMs: number | undefined;
  readonly type: string;
  readonly n: number | undefined;
}

/** What all windows should hold, worked out from all entries each time, in whole numbers. */
function modelAt(entries: readonly StoredEntry[], nowMs: number, name: WindowName): StoredEntry[] {
  const stepOf = (ms: number): bigint => {
    const [steps, windowMs] = [BigInt(ms) * 60n, BigInt(WINDOWS[name])];
    return steps / windowMs;
  };
  return entries.filter(({ timestampMs, arrivedMs }) => {
    const at = timestampMs === -1 ? arrivedMs : Math.min(timestampMs, arrivedMs);
    return stepOf(at) > stepOf(nowMs) - 60n;
  });
}

function tally(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    [...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]),
  );
}

function expectToFollow({ counts, entries }: Machine, nowMs: number): void {
  const aggregation = finish(counts.aggregationAt(nowMs));
  for (const [name, figures] of Object.entries(aggregation.windows)) {
    // The cast holds: the aggregation has the windows' names.
    const within = modelAt(entries, nowMs, name as WindowName);
    expect(figures.count).toBe(within.length);
    expect(figures.truncated).toBe(false);
    expect(figures.byTopic).toEqual(tally(within.map(({ topic }) => topic)));
    expect(figures.byType).toEqual(tally(within.map(({ headers }) => String(headers[0]?.[1]))));
    expectFigures(
      figures.fields["n"],
      within.map(numberOf).filter((n) => n !== undefined),
    );
  }
  const isFuture = ({ timestampMs, arrivedMs }: StoredEntry): boolean =>
    timestampMs > arrivedMs + 1_000;
  expect(aggregation.future).toBe(entries.filter(isFuture).length);
  const inTime = entries.filter((entry) => modelAt([entry], entry.arrivedMs, "1h").length > 0);
  expect(aggregation.late).toBe(entries.length - inTime.length);
}

function expectFigures(figures: FieldFigures | undefined, numbers: readonly number[]): void {
  if (numbers.length === 0) return expect(figures).toBeUndefined();
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (q: number): number =>
    sorted[Math.max(0, Math.ceil((q * 100 * sorted.length) / 100) - 1)] ?? 0;
  const sum = numbers.reduce((total, n) => total + n, 0);
  expect(figures).toMatchObject({ count: numbers.length, min: at(0), max: at(1) });
  expect(Math.abs((figures?.mean ?? 0) - sum / numbers.length)).toBeLessThan(1e-6);
  for (const [told, q] of [
    [figures?.p50, 0.5],
    [figures?.p95, 0.95],
    [figures?.p99, 0.99],
  ] as const) {
    expect(Math.abs((told ?? 0) - at(q))).toBeLessThanOrEqual(Math.abs(at(q)) * 0.010_000_1);
  }
}

function numberOf({ value }: StoredEntry): number | undefined {
  const text = Buffer.from(value ?? []).toString();
  return text === "no JSON" ? undefined : Number(JSON.parse(text).n);
}

const written = fc.record({
  ageMs: fc.oneof(
    fc.constant(undefined),
    fc.integer({ min: -3_000, max: 3_000 }),
    fc.integer({ min: 0, max: 400_000 }),
    fc.integer({ min: 0, max: 4_000_000 }),
  ),
  type: fc.constantFrom("a", "b", "order.created", "other", "__proto__", "constructor"),
  n: fc.option(fc.integer({ min: -10_000, max: 10_000 }), { nil: undefined }),
});

const passing = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_000_000 }) },
);

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(passing, fc.constantFrom("t", "u"), written)
      .map((record) => ({ do: "append", record }) as const),
  },
  { weight: 3, arbitrary: fc.constant({ do: "count" } as const) },
  { weight: 2, arbitrary: fc.constant({ do: "save" } as const) },
  { weight: 1, arbitrary: fc.constant({ do: "saveInVain" } as const) },
  { weight: 1, arbitrary: fc.constant({ do: "restart" } as const) },
);

test("whatever comes, in whatever batches and with restarts between, the figures are those of a list of all of it", () => {
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 120 }),
      fc.integer({ min: 0, max: 30_000 }),
      (actions, waitMs) => {
        const machine = new Machine();
        for (const each of actions) {
          if (each.do === "append") machine.append(...each.record);
          else machine[each.do]();
        }
        machine.count();
        expectToFollow(machine, machine.nowMs);
        expectToFollow(machine, machine.nowMs + waitMs);
        machine.save();
        machine.restart();
        expectToFollow(machine, machine.nowMs);
      },
    ),
    { numRuns: runs(400) },
  );
});

test("stored and restored it is the same to the last digit, and stores the same again", () => {
  const machine = new Machine();
  for (let i = 0; i < 500; i += 1) {
    machine.append(i * 7, "t", { ageMs: i * 31, type: `type-${i % 7}`, n: i / 3 });
  }
  machine.count();
  machine.save();
  const before = finish(machine.counts.aggregationAt(machine.nowMs));
  machine.restart();
  expect(finish(machine.counts.aggregationAt(machine.nowMs))).toEqual(before);
  const stored = new Map(machine.stored);
  machine.save();
  expect(machine.stored).toEqual(stored);
});
