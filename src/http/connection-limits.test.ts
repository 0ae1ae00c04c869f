import { expect, test } from "bun:test";
import fc from "fast-check";
import { ConnectionLimits, type Refusal, type StreamOwner } from "./connection-limits.ts";

const ALICE = { address: "192.0.2.1", user: "alice" };
const BOB = { address: "192.0.2.2", user: "bob" };
const NOBODY = { address: "192.0.2.3", user: undefined };

test("E7 over the limit of all streams whoever comes is told that the server is overloaded", () => {
  const limits = new ConnectionLimits({ maxConnections: 2, maxPerAddress: 1, maxPerUser: 1 });
  const release = limits.take(ALICE);
  expect(limits.refusal(BOB)).toBeUndefined();
  limits.take(BOB);
  expect(limits.refusal(NOBODY)).toBe("overloaded");
  expect(limits.refusal(ALICE)).toBe("overloaded");
  release();
  expect(limits.refusal(NOBODY)).toBeUndefined();
  expect(limits.refusal(BOB)).toBe("too-many-connections");
});

test("E7 one address has so many streams, whoever its users are", () => {
  const limits = new ConnectionLimits({ maxConnections: 9, maxPerAddress: 1, maxPerUser: 0 });
  limits.take(ALICE);
  expect(limits.refusal({ ...BOB, address: ALICE.address })).toBe("too-many-connections");
  expect(limits.refusal({ ...NOBODY, address: ALICE.address })).toBe("too-many-connections");
  expect(limits.refusal({ ...ALICE, address: BOB.address })).toBeUndefined();
});

test("E7 one user has so many streams, wherever they come from; nobody is no user", () => {
  const limits = new ConnectionLimits({ maxConnections: 9, maxPerAddress: 0, maxPerUser: 1 });
  limits.take(ALICE);
  limits.take(NOBODY);
  expect(limits.refusal({ ...ALICE, address: BOB.address })).toBe("too-many-connections");
  expect(limits.refusal({ ...BOB, address: ALICE.address })).toBeUndefined();
  expect(limits.refusal(NOBODY)).toBeUndefined();
});

test("names are only names", () => {
  const limits = new ConnectionLimits({ maxConnections: 9, maxPerAddress: 1, maxPerUser: 1 });
  const odd = { address: "__proto__", user: "constructor" };
  expect(limits.refusal(odd)).toBeUndefined();
  limits.take(odd)();
  expect(limits.refusal(odd)).toBeUndefined();
  limits.take({ address: "alice", user: undefined });
  expect(limits.refusal(ALICE)).toBeUndefined();
});

test("E5 counts are those of the open streams, in whichever order they end, and however often", () => {
  const owner = fc.record({
    address: fc.constantFrom("a", "b", "c"),
    user: fc.constantFrom("a", "b", undefined),
  });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("take" as const), owner }),
    fc.record({ kind: fc.constant("release" as const), which: fc.nat() }),
  );
  const options = fc.record({
    maxConnections: fc.integer({ min: 1, max: 8 }),
    maxPerAddress: fc.nat({ max: 4 }),
    maxPerUser: fc.nat({ max: 4 }),
  });
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 60 }), owner, (given, steps, asked) => {
      const limits = new ConnectionLimits(given);
      const streams: { owner: StreamOwner; isOpen: boolean; release: () => void }[] = [];
      const count = (matches: (one: StreamOwner) => boolean): number =>
        streams.filter((stream) => stream.isOpen && matches(stream.owner)).length;
      const expected = ({ address, user }: StreamOwner): Refusal | undefined => {
        const { maxConnections, maxPerAddress, maxPerUser } = given;
        if (count(() => true) >= maxConnections) return "overloaded";
        const ofAddress = count((one) => one.address === address);
        const ofUser = user === undefined ? -1 : count((one) => one.user === user);
        const isOver =
          (maxPerAddress > 0 && ofAddress >= maxPerAddress) ||
          (maxPerUser > 0 && ofUser >= maxPerUser);
        return isOver ? "too-many-connections" : undefined;
      };
      for (const one of steps) {
        if (one.kind === "take") {
          expect(limits.refusal(one.owner)).toBe(expected(one.owner));
          // Also over the limit: what is open counts, whoever let it in.
          streams.push({ owner: one.owner, isOpen: true, release: limits.take(one.owner) });
        } else {
          const stream = streams[one.which % Math.max(streams.length, 1)];
          stream?.release();
          if (stream) stream.isOpen = false;
        }
        expect(limits.size).toBe(count(() => true));
        expect(limits.refusal(asked)).toBe(expected(asked));
      }
      for (const { release } of streams) release();
      expect(limits.size).toBe(0);
      expect(limits.refusal(asked)).toBeUndefined();
    }),
  );
});
