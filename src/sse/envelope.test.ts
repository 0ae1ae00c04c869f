import { expect, test } from "bun:test";
import type { RecordEntry, SkippedEntry } from "../log/entry.ts";
import { placeEntry } from "../log/stored-entry.ts";
import { envelopeOf } from "./envelope.ts";
import { toEvent } from "./event.ts";

function envelope(record: Partial<RecordEntry>): string {
  const entry: RecordEntry = {
    kind: "record",
    topic: "events",
    partition: 1,
    offset: 42,
    timestampMs: 1_704_672_000_000,
    timestampType: "create",
    key: null,
    value: Buffer.from("{}"),
    headers: [],
    ...record,
  };
  return envelopeOf(toEvent(placeEntry(entry, { seq: 1, tag: "t", arrivedMs: 1 })));
}

const payload = (value: string): string =>
  /"payload":(.*)\}$/s.exec(envelope({ value: Buffer.from(value) }))?.[1] ?? "";

test("an envelope has kcat's keys", () => {
  const headers: RecordEntry["headers"] = [
    ["trace", Buffer.from("a")],
    ["trace", Buffer.from("b")],
    ["source", Buffer.from("shop")],
  ];
  const value = Buffer.from('{"times":42}');
  expect(envelope({ key: Buffer.from("k"), value, headers })).toBe(
    '{"topic":"events","partition":1,"offset":42,"tstype":"create","ts":1704672000000,"key":"k","headers":{"trace":["a","b"],"source":"shop"},"payload":{"times":42}}',
  );
});

test.each([["9007199254740993"], ['{"id":9007199254740993,"e":1.0,"x":1e400}'], ["[-0,1E5,0.10]"]])(
  "A20 the numbers of %s keep their digits",
  (value) => {
    expect(payload(value)).toBe(value);
  },
);

test("A5 JSON over several lines is shown on one", () => {
  expect(payload('{\r\n "a": "b\\n",\n\n "c": 1 }')).toBe('{  "a": "b\\n",  "c": 1 }');
});

test.each([["not JSON"], ["{"], [""], ["\uFEFF{}"], ["NaN"], ["a\r\nb"]])(
  "A5 the text %j, which is no JSON, is shown as a string",
  (value) => {
    expect(JSON.parse(payload(value))).toBe(value);
  },
);

test("A11 what is not UTF-8 is base64, in the value, the key and the headers", () => {
  const bytes = Uint8Array.of(0xff, 0x00);
  expect(JSON.parse(envelope({ key: bytes, value: bytes, headers: [["h", bytes]] }))).toMatchObject(
    {
      key: { base64: "/wA=" },
      headers: { h: { base64: "/wA=" } },
      payload: "/wA=",
      encoding: "base64",
    },
  );
});

test("A14 a tombstone has null as its payload, and no encoding", () => {
  expect(JSON.parse(envelope({ value: null }))).toMatchObject({ payload: null });
  expect(envelope({ value: null })).not.toContain("encoding");
});

test("who an event is for is not shown to those who get it", () => {
  const headers: RecordEntry["headers"] = [
    ["headgate-user", Buffer.from("alice")],
    ["headgate-anything", Buffer.from("x")],
  ];
  expect(envelope({ headers })).toContain('"headers":{}');
});

test("a record that cannot be shown says why, and is no tombstone", () => {
  const skipped: SkippedEntry = {
    kind: "skipped",
    topic: "events",
    partition: 1,
    offset: 42,
    timestampMs: 7,
    reason: "too-large",
    key: Buffer.from("k"),
    headers: [],
  };
  const text = envelopeOf(toEvent(placeEntry(skipped, { seq: 1, tag: "t", arrivedMs: 1 })));
  expect(JSON.parse(text)).toMatchObject({ key: "k", payload: null, skipped: "too-large" });
  expect(JSON.parse(envelope({ value: null }))).not.toHaveProperty("skipped");
});
