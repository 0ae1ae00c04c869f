import { expect, test } from "bun:test";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import fc from "fast-check";
import type { RecordEntry } from "../log/entry.ts";
import { placeEntry } from "../log/stored-entry.ts";
import { toEvent } from "./event.ts";
import { encodeBody, retryFrame, systemFrame } from "./frame.ts";
import { runs } from "../../test/support/effort.ts";

/** The bytes of a record's frame, without its id line. */
function frameOf(record: Partial<RecordEntry>, envelope = false): string {
  const entry = placeEntry(
    {
      kind: "record",
      topic: "events",
      partition: 0,
      offset: 7,
      timestampMs: 1,
      timestampType: "create",
      key: null,
      value: Buffer.from("x"),
      headers: [],
      ...record,
    },
    { seq: 1, tag: "t", arrivedMs: 1 },
  );
  const bytes = encodeBody(toEvent(entry), { envelope });
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** What a client of the standard makes of a frame that follows other events. */
function parse(frame: string): EventSourceMessage[] {
  const events: EventSourceMessage[] = [];
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onError: (error) => {
      throw error;
    },
  });
  parser.feed(`data: first\n\n${frame}`);
  return events.slice(1);
}

const text = (value: string): Partial<RecordEntry> => ({ value: Buffer.from(value) });

/** Strings that hold what matters to a line-oriented format more often than chance would. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\r",
        "\n",
        "\r\n",
        ":",
        " ",
        "data:",
        "id: 9",
        "event: x",
        "\uFEFF",
        "\u2028",
      ),
      fc.string({ unit: "grapheme" }),
    ),
  )
  .map((parts) => parts.join(""));

test("A5 A6 A7 A8 any text comes back from a client's parser, with its line ends as LF", () => {
  fc.assert(
    fc.property(hostileText, (value) => {
      fc.pre(value.isWellFormed() && !value.includes("\0"));
      const [event, ...more] = parse(frameOf(text(value)));
      expect(event?.data).toBe(value.replaceAll(/\r\n|\r/g, "\n"));
      expect(event?.event).toBeUndefined();
      expect(more).toEqual([]);
    }),
    { numRuns: runs(500) },
  );
});

test("A11 any bytes become a frame of valid UTF-8 from which they can be had again", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (value) => {
      const [event, ...more] = parse(frameOf({ value }));
      expect(more).toEqual([]);
      const back =
        event?.event === "binary"
          ? Buffer.from(event.data, "base64")
          : Buffer.from(event?.data ?? "");
      const expected =
        event?.event === "binary"
          ? Buffer.from(value)
          : Buffer.from(
              Buffer.from(value)
                .toString()
                .replaceAll(/\r\n|\r/g, "\n"),
            );
      expect(back.equals(expected)).toBe(true);
    }),
    { numRuns: runs(500) },
  );
});

test("A5 A20 an envelope is one line of JSON with the record in it, whatever the record holds", () => {
  const bytes = fc.option(
    fc.oneof(
      hostileText.map((value) => Buffer.from(value)),
      fc.uint8Array(),
    ),
    { nil: null },
  );
  const headers = fc.array(
    fc.tuple(
      hostileText,
      bytes.map((value) => value ?? Buffer.alloc(0)),
    ),
  );
  fc.assert(
    fc.property(bytes, bytes, headers, (key, value, list) => {
      const frame = frameOf({ key, value, headers: list }, true);
      const [event, ...more] = parse(frame);
      expect(more).toEqual([]);
      expect(event?.data).not.toMatch(/[\r\n]/);
      const envelope = JSON.parse(event?.data ?? "") as { payload: unknown; encoding?: string };
      const base64 = value && Buffer.from(value).toString("base64");
      if (envelope.encoding === "base64") expect(envelope.payload).toBe(base64);
      else expect(envelope.payload).toEqual(value && shownAs(Buffer.from(value).toString()));
    }),
    { numRuns: runs(500) },
  );
});

function shownAs(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

test("A5 every line end in a value starts a data line of its own", () => {
  expect(frameOf(text("a\rb\r\nc\nd"))).toBe("data: a\ndata: b\ndata: c\ndata: d\n\n");
});

test("A6 an empty value is one empty data line, and is dispatched", () => {
  expect(frameOf(text(""))).toBe("data: \n\n");
  expect(parse(frameOf(text("")))).toHaveLength(1);
});

test("A7 line ends at the end of a value are kept", () => {
  expect(parse(frameOf(text("a\n\n")))[0]?.data).toBe("a\n\n");
});

test.each([[" a"], ["  "], [":a"], ["\uFEFFa"], ["\u2028"], ["data: a"], ["id: 1"], ["retry: 1"]])(
  "A8 the value %j is kept as it is",
  (value) => {
    expect(parse(frameOf(text(value)))[0]).toMatchObject({ data: value });
  },
);

test.each([
  ["invalid UTF-8", [0xff, 0xfe, 0x41]],
  ["a lone surrogate in bytes", [0xed, 0xa0, 0x80]],
  ["NUL", [0x61, 0x00, 0x62]],
  ["a schema id", [0x00, 0, 0, 0, 7, 0x02, 0x61]],
  ["a schema GUID", [0x01, ...Array.from({ length: 16 }, () => 0xc3)]],
])("A11 A12 a value with %s is base64 in an event called binary", (_, bytes) => {
  expect(parse(frameOf({ value: Uint8Array.from(bytes) }))[0]).toMatchObject({
    event: "binary",
    data: Buffer.from(bytes).toString("base64"),
  });
});

test("A11 a binary value keeps the type that its record names", () => {
  const headers: RecordEntry["headers"] = [["type", Buffer.from("avro")]];
  expect(parse(frameOf({ value: Uint8Array.of(0), headers }))[0]).toMatchObject({
    event: "avro",
    data: "AA==",
  });
});

test("A14 a tombstone is a delete with its key as JSON, whatever type its record names", () => {
  const headers: RecordEntry["headers"] = [["type", Buffer.from("order")]];
  const key = Buffer.from('a"\r\n');
  expect(frameOf({ value: null, key, headers })).toBe('event: delete\ndata: "a\\"\\r\\n"\n\n');
  expect(frameOf({ value: null })).toBe("event: delete\ndata: null\n\n");
});

test.each([
  ["a\rb"],
  ["a\nid: 9"],
  ["a\0"],
  ["\u007F"],
  ["\u0085"],
  ["heartbeat"],
  ["reset"],
  ["error"],
])("A1 A2 A3 A4 A15 a record of the type %j is delivered without the type", (type) => {
  const headers: RecordEntry["headers"] = [["type", Buffer.from(type)]];
  expect(frameOf({ headers })).toBe("data: x\n\n");
});

test.each([["user:login"], ["a\u2028b"], ["\uFEFFa"], ["Größe"]])(
  "A4 the type %j is kept: it holds no control character",
  (type) => {
    const headers: RecordEntry["headers"] = [["type", Buffer.from(type)]];
    expect(parse(frameOf({ headers }))[0]?.event).toBe(type);
  },
);

test("A13 line ends in keys and header names cannot leave an envelope's line", () => {
  const headers: RecordEntry["headers"] = [
    ["a\r\ndata: evil", Buffer.from("b\r\n\r\nevent: close")],
    ["__proto__", Buffer.from("1")],
    ["__proto__", Buffer.from("2")],
  ];
  const frame = frameOf({ key: Buffer.from("k\n\ndata: evil"), headers }, true);
  expect(frame.trimEnd()).not.toMatch(/[\r\n]/);
  expect(frame).toContain('"__proto__":["1","2"]');
});

test("a skipped record says where it was and why", () => {
  const entry = placeEntry(
    {
      kind: "skipped",
      topic: "events",
      partition: 2,
      offset: 9,
      timestampMs: 1,
      reason: "too-large",
      key: null,
      headers: [["type", Buffer.from("order")]],
    },
    { seq: 1, tag: "t", arrivedMs: 1 },
  );
  expect(Buffer.from(encodeBody(toEvent(entry), { envelope: true })).toString()).toBe(
    'event: skipped\ndata: {"topic":"events","partition":2,"offset":9,"reason":"too-large"}\n\n',
  );
});

test("a system event without a known position has no id, so that the client keeps the one it has", () => {
  expect(systemFrame("heartbeat", "")).toBe("event: heartbeat\ndata: \n\n");
  expect(systemFrame("heartbeat", "", "1~a~b~0")).toBe("id: 1~a~b~0\nevent: heartbeat\ndata: \n\n");
});

test("A16 text in a system event cannot end its line", () => {
  const [event, ...more] = parse(systemFrame("reset", "a\r\n\r\nevent: close\rb"));
  expect(more).toEqual([]);
  expect(event).toMatchObject({ event: "reset", data: "a\n\nevent: close\nb" });
});

test("a reconnection time is digits alone, or the standard's client ignores it", () => {
  expect(retryFrame(2999.6)).toBe("retry: 3000\n\n");
});
