import { expect, test } from "bun:test";
import { EventLog } from "../log/event-log.ts";
import { toEvent } from "../sse/event.ts";
import { newestEvents, onePerKey } from "./history.ts";
import { matchesFilters, type Subscription } from "./subscription.ts";

const SUBSCRIPTION: Subscription = {
  topics: ["a"],
  types: undefined,
  keys: undefined,
  channels: new Set(),
  encoding: "plain",
};

/** Two keys that are no text, and would be one if they were read as such; the first one twice. */
const KEYS = [Uint8Array.of(0xff, 1), Uint8Array.of(0xfe, 1), Uint8Array.of(0xff, 1)];

function logOfKeys(): EventLog {
  const log = new EventLog({ path: ":memory:", durable: false });
  log.append([{ kind: "topic", topic: "a", tag: "t", offsets: [0] }]);
  for (const [offset, key] of KEYS.entries()) {
    log.append([
      {
        kind: "record",
        topic: "a",
        partition: 0,
        offset,
        timestampMs: 1,
        timestampType: "create",
        key,
        value: Buffer.from("x"),
        headers: [],
      },
    ]);
  }
  return log;
}

test("keys that are no text are told apart by their bytes", () => {
  using log = logOfKeys();
  const isWanted = onePerKey();
  const offsets: number[] = [];
  const viewer = { clientId: undefined, user: undefined };
  const search = newestEvents(log, { subscription: SUBSCRIPTION, identity: viewer }, (event) => {
    if (isWanted(event)) offsets.push(event.entry.offset);
    return "more";
  });
  expect([...search]).toBeArray();
  expect(offsets).toEqual([2, 1]);
});

test("a key that is no text cannot be asked for by another's", () => {
  using log = logOfKeys();
  const [entry] = log.before(log.headSeq + 1, 1);
  if (!entry) throw new Error("Nothing is stored");
  const subscription = { ...SUBSCRIPTION, keys: new Set(["\uFFFD\u0001"]) };
  expect(matchesFilters(subscription, toEvent(entry))).toBe(false);
});
