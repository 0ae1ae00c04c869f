import { expect, test } from "bun:test";
import type { RecordEntry, RecordHeader } from "../log/entry.ts";
import { placeEntry } from "../log/stored-entry.ts";
import { type Event, isReservedType, namedType, toEvent } from "./event.ts";

function eventOf(record: Partial<RecordEntry>): Event {
  const entry: RecordEntry = {
    kind: "record",
    topic: "events",
    partition: 0,
    offset: 0,
    timestampMs: 1,
    timestampType: "create",
    key: null,
    value: Buffer.from("x"),
    headers: [],
    ...record,
  };
  return toEvent(placeEntry(entry, { seq: 1, tag: "t", arrivedMs: 1 }));
}

const header = (name: string, value: string): RecordHeader => [name, Buffer.from(value)];

test("a record's own type beats CloudEvents' type", () => {
  const headers = [header("ce_type", "b"), header("type", "a")];
  expect(eventOf({ headers }).type).toBe("a");
  expect(eventOf({ headers: headers.slice(0, 1) }).type).toBe("b");
  expect(eventOf({}).type).toBe("message");
});

test("A3 A15 a type that cannot be shown is said to be left out; none, and message, are not", () => {
  expect(namedType([header("type", "a\0")])).toEqual({ type: undefined, isLeftOut: true });
  expect(namedType([header("type", "close")])).toEqual({ type: undefined, isLeftOut: true });
  expect(namedType([["type", Uint8Array.of(0xff)]])).toEqual({ type: undefined, isLeftOut: true });
  expect(namedType([header("type", "message")])).toEqual({ type: undefined, isLeftOut: false });
  expect(namedType([header("type", "")])).toEqual({ type: undefined, isLeftOut: false });
});

test("A15 the names of system events, and those with a meaning in EventSource, are reserved", () => {
  for (const name of ["connection", "reset", "live", "heartbeat", "skipped", "close"]) {
    expect(isReservedType(name)).toBe(true);
  }
  for (const name of ["error", "open", "binary", "delete", "message"]) {
    expect(isReservedType(name)).toBe(true);
  }
  expect(isReservedType("Heartbeat")).toBe(false);
  expect(isReservedType("__proto__")).toBe(false);
});

test("a target that is no UTF-8 names nobody, and so does not make the event everybody's", () => {
  const headers: RecordHeader[] = [
    ["headgate-user", Uint8Array.of(0xff)],
    ["headgate-channel", Buffer.from("\uFFFD")],
  ];
  expect(eventOf({ headers }).audience).toEqual({ users: [], channels: ["\uFFFD"], clients: [] });
});

test("whom a record names is gathered over all headers of the kind", () => {
  const headers = [
    header("headgate-user", "alice"),
    header("headgate-channel", "news"),
    header("headgate-user", "bob"),
    header("headgate-client", "c1"),
  ];
  expect(eventOf({ headers }).audience).toEqual({
    users: ["alice", "bob"],
    channels: ["news"],
    clients: ["c1"],
  });
  expect(eventOf({ headers: [header("headgate-other", "x")] }).audience).toBeUndefined();
});

test("A11 a value is text only where it is UTF-8 without NUL", () => {
  expect(eventOf({ value: Buffer.from("ä") }).isText).toBe(true);
  expect(eventOf({ value: Buffer.from("") }).isText).toBe(true);
  expect(eventOf({ value: Buffer.from("a\0") }).isText).toBe(false);
  expect(eventOf({ value: Uint8Array.of(0xc3) }).isText).toBe(false);
});
