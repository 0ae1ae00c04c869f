import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createPublishRate, senderName } from "./publish-rate.ts";

const START_MS = 12_345.678;

test("D9 a sender may publish one second's worth at once, then as the time allows", () => {
  const rate = createPublishRate(10);
  expect(rate.admit("a", 4, START_MS)).toBeUndefined();
  expect(rate.admit("a", 6, START_MS)).toBeUndefined();
  expect(rate.admit("a", 1, START_MS)).toBeCloseTo(0.1);
  expect(rate.admit("a", 5, START_MS + 100)).toBeCloseTo(0.4);
  expect(rate.admit("a", 1, START_MS + 100)).toBeUndefined();
  expect(rate.admit("a", 11, START_MS + 100)).toBeCloseTo(1);
});

test("a sender that was silent for long has saved up no more than one second's worth", () => {
  const rate = createPublishRate(10);
  rate.admit("a", 10, START_MS);
  const later = START_MS + 3_600_000;
  expect(rate.admit("a", 10, later)).toBeUndefined();
  expect(rate.admit("a", 1, later)).toBeCloseTo(0.1);
});

test("senders do not pay for one another", () => {
  const rate = createPublishRate(1);
  expect(rate.admit("a", 1, START_MS)).toBeUndefined();
  expect(rate.admit("b", 1, START_MS)).toBeUndefined();
  expect(rate.admit("a", 1, START_MS)).toBeCloseTo(1);
});

test("a user named like an address is another sender", () => {
  const address = "192.0.2.1";
  const nobody = senderName({ user: undefined, address });
  expect(senderName({ user: address, address: "x" })).not.toBe(nobody);
  expect(senderName({ user: "alice", address })).toBe(senderName({ user: "alice", address: "x" }));
});

test("a batch of more than one second's worth passes when nothing is owed, and is paid for afterwards", () => {
  const rate = createPublishRate(10);
  rate.admit("a", 1, START_MS);
  expect(rate.admit("a", 25, START_MS)).toBeCloseTo(0.1);
  expect(rate.admit("a", 25, START_MS + 100)).toBeUndefined();
  expect(rate.admit("a", 1, START_MS + 100)).toBeCloseTo(1.6);
  expect(rate.admit("a", 1, START_MS + 1700)).toBeUndefined();
});

test("a limit below one event a second lets one through at a time", () => {
  const rate = createPublishRate(0.5);
  expect(rate.admit("a", 1, START_MS)).toBeUndefined();
  expect(rate.admit("a", 1, START_MS)).toBeCloseTo(2);
  expect(rate.admit("a", 1, START_MS + 2000)).toBeUndefined();
});

test("0 is no limit", () => {
  const rate = createPublishRate(0);
  expect(rate.admit("a", 1_000_000, START_MS)).toBeUndefined();
  expect(rate.admit("a", 1_000_000, START_MS)).toBeUndefined();
});

describe("whoever sends whatever and whenever", () => {
  const perSecond = fc.oneof(
    fc.integer({ min: 1, max: 2000 }),
    fc.constantFrom(0.1, 0.5, 3, 7, 1e6),
  );
  const attempts = fc.array(
    fc.record({
      events: fc.integer({ min: 1, max: 3000 }),
      pauseMs: fc.oneof(
        fc.double({ min: 0, max: 3000, noNaN: true }),
        fc.constantFrom(0, 1, 500, 1000),
      ),
    }),
    { maxLength: 60 },
  );

  test("D9 never gets more through in any time than the rate allows, and one second's worth or one batch", () => {
    fc.assert(
      fc.property(perSecond, attempts, (eventsPerSecond, tries) => {
        const rate = createPublishRate(eventsPerSecond);
        let nowMs = START_MS;
        const admitted: { events: number; atMs: number }[] = [];
        for (const { events, pauseMs } of tries) {
          nowMs += pauseMs;
          if (rate.admit("a", events, nowMs) === undefined) admitted.push({ events, atMs: nowMs });
        }
        const capacity = Math.max(1, eventsPerSecond);
        for (const [i, first] of admitted.entries()) {
          let sum = 0;
          let largest = capacity;
          for (const { events, atMs } of admitted.slice(i)) {
            sum += events;
            largest = Math.max(largest, events);
            const allowed = ((atMs - first.atMs) / 1000) * eventsPerSecond + largest;
            // The limit's own tolerance of a microsecond, and floating point's.
            expect(sum).toBeLessThanOrEqual(allowed + eventsPerSecond * 1.1e-6 + 1e-6);
          }
        }
      }),
    );
  });

  test("gets through after the time that it was told, and not before", () => {
    fc.assert(
      fc.property(perSecond, attempts, (eventsPerSecond, tries) => {
        const rate = createPublishRate(eventsPerSecond);
        let nowMs = START_MS;
        for (const { events, pauseMs } of tries) {
          nowMs += pauseMs;
          const waitS = rate.admit("a", events, nowMs);
          if (waitS === undefined) continue;
          const waitMs = waitS * 1000;
          if (waitMs > 0.02) expect(rate.admit("a", events, nowMs + waitMs - 0.01)).toBeDefined();
          nowMs += waitMs;
          expect(rate.admit("a", events, nowMs)).toBeUndefined();
        }
      }),
    );
  });
});

describe("where there is room for four senders", () => {
  /** Takes all of an allowance of one event a second. */
  function spend(rate: ReturnType<typeof createPublishRate>, sender: string, nowMs: number): void {
    expect(rate.admit(sender, 1, nowMs)).toBeUndefined();
  }

  test("D9 no more than four are remembered, and a new one is never turned away", () => {
    const rate = createPublishRate(1, 4);
    const senders = Array.from({ length: 1000 }, (_, i) => `sender ${i}`);
    for (const sender of senders) spend(rate, sender, START_MS);
    const limited = senders.filter((sender) => rate.admit(sender, 0.5, START_MS) !== undefined);
    expect(limited.length).toBeLessThanOrEqual(4);
    expect(rate.admit("sender 999", 1, START_MS)).toBeCloseTo(1);
  });

  test("those with a full allowance are forgotten before those who owe", () => {
    const rate = createPublishRate(1, 4);
    for (const sender of ["old 1", "old 2", "old 3"]) spend(rate, sender, START_MS);
    expect(rate.admit("debtor", 60, START_MS)).toBeUndefined();
    for (const sender of ["new 1", "new 2", "new 3"]) spend(rate, sender, START_MS + 1000);
    expect(rate.admit("debtor", 1, START_MS + 1000)).toBeCloseTo(59);
    for (const sender of ["new 1", "new 2", "new 3"]) {
      expect(rate.admit(sender, 1, START_MS + 1000)).toBeCloseTo(1);
    }
  });

  test("where all owe, whoever owes least is forgotten", () => {
    const rate = createPublishRate(1, 4);
    for (const [i, sender] of ["60", "10", "50", "40"].entries()) {
      expect(rate.admit(sender, Number(sender), START_MS + i)).toBeUndefined();
    }
    spend(rate, "new", START_MS + 10);
    for (const sender of ["60", "50", "40"]) {
      expect(rate.admit(sender, 1, START_MS + 10)).toBeGreaterThan(30);
    }
    expect(rate.admit("10", 1, START_MS + 10)).toBeUndefined();
  });

  test("a full allowance is soon forgotten, however many come and go", () => {
    // Room for 200 at a time is enough for a hundred who owe: nobody who does is forgotten.
    const rate = createPublishRate(1, 200);
    for (let i = 0; i < 5000; i += 1) {
      const nowMs = START_MS + i * 10;
      spend(rate, `sender ${i}`, nowMs);
      const recent = `sender ${Math.max(0, i - 90)}`;
      expect(rate.admit(recent, 1, nowMs)).toBeDefined();
    }
  });
});
