import { expect, test } from "bun:test";
import fc from "fast-check";
import { HeadgateError } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import { parsePublishBody } from "./publish-body.ts";

const CONTEXT = { topics: ["events", "payments"], defaultTopic: "events" };

function records(body: unknown): OutgoingRecord[] {
  return parsePublishBody(typeof body === "string" ? body : JSON.stringify(body), CONTEXT);
}

/** The code and the pointer with which a body is refused. */
function refusal(body: unknown): [code: string, pointer: string | undefined] {
  try {
    records(body);
  } catch (error) {
    if (error instanceof HeadgateError) return [error.code, error.details.pointer];
    throw error;
  }
  throw new Error(`Not refused: ${JSON.stringify(body)}`);
}

const text = (bytes: Uint8Array | null | undefined): string | undefined =>
  bytes ? Buffer.from(bytes).toString() : undefined;

test.each([
  ["x\ndata: evil"],
  ["x\ry"],
  ["x\0"],
  ["x\u007F"],
  ["x\u0085"],
  ["x\u001B[0m"],
  ["\ud800"],
])("A1 A2 A3 A4 A10 the type %j is refused", (type) => {
  expect(refusal({ type, data: 1 })).toEqual(["invalid-event", "/type"]);
});

test("A4 a type with U+2028 or U+FEFF is published as it is", () => {
  const [record] = records({ type: "a\u2028\uFEFF", data: 1 });
  expect(record?.headers.map(([name, value]) => [name, text(value)])).toEqual([
    ["type", "a\u2028\uFEFF"],
  ]);
});

test.each([["a\r"], ["a\n"], ["a\0b"], ["\udc00"]])("A3 A10 the key %j is refused", (key) => {
  expect(refusal([{ data: 0 }, { key, data: 1 }])).toEqual(["invalid-event", "/1/key"]);
});

test.each([
  ["connection"],
  ["reset"],
  ["live"],
  ["heartbeat"],
  ["skipped"],
  ["close"],
  ["error"],
  ["open"],
  ["binary"],
  ["delete"],
  ["message"],
])("A15 the reserved type %s is refused", (type) => {
  expect(refusal({ type, data: 1 })).toEqual(["invalid-event", "/type"]);
});

test.each([
  ["type"],
  ["Type"],
  ["ce_type"],
  ["ce_id"],
  ["CE_SOURCE"],
  ["headgate-user"],
  ["Headgate-Anything"],
])("A17 a header named %s is refused", (name) => {
  expect(refusal({ data: 1, headers: { [name]: "x" } })).toEqual([
    "invalid-event",
    `/headers/${name}`,
  ]);
});

test.each([
  [{ headers: { "a\r": "x" } }, "/headers/a\r"],
  [{ headers: { "a/b~c": "x\n" } }, "/headers/a~1b~0c"],
  [{ to: { user: "a\r" } }, "/to/user"],
  [{ to: { channel: ["fine", "a\nb"] } }, "/to/channel"],
  [{ to: { client: "\ud800" } }, "/to/client"],
])("A17 control characters in %j are refused", (fields, pointer) => {
  expect(refusal({ data: 1, ...fields })).toEqual(["invalid-event", pointer]);
});

test("A17 a target becomes record headers, one for each name", () => {
  const [record] = records({ data: 1, to: { user: ["a", "b"], channel: "c", client: "d" } });
  expect(record?.headers.map(([name, value]) => [name, text(value)])).toEqual([
    ["headgate-user", "a"],
    ["headgate-user", "b"],
    ["headgate-channel", "c"],
    ["headgate-client", "d"],
  ]);
});

test("A10 a lone surrogate in data stays an escape: the bytes are UTF-8", () => {
  const [record] = records('{"data":"\\ud800"}');
  expect(text(record?.value)).toBe('"\\ud800"');
});

test.each([
  ["9007199254740993"],
  ["1.0"],
  ["1e400"],
  ["-0"],
  ['{"a":[12345678901234567890,0.1000]}'],
])("A20 the numbers in %s are stored as they were written", (data) => {
  const [record] = records(`{"data": ${data} }`);
  expect(text(record?.value)).toBe(data);
});

test("A14 null with a key is a tombstone; without one it is the text null", () => {
  expect(records({ key: "k", data: null })[0]?.value).toBeNull();
  expect(text(records({ data: null })[0]?.value)).toBe("null");
});

test("any JSON as data comes back as it was", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (data) => {
      const [record] = records({ data });
      expect(JSON.parse(text(record?.value) ?? "")).toEqual(JSON.parse(JSON.stringify(data)));
    }),
  );
});

test.each([
  ["", ""],
  ["{", ""],
  ["null", ""],
  ["1", ""],
  ['"x"', ""],
  ["[]", ""],
  ["{}", "/data"],
  ['[{"data":1},{}]', "/1/data"],
  ['[{"data":1},7]', "/1"],
  ['{"data":1,"extra":2}', "/extra"],
  ['{"data":1,"to":{"group":"x"}}', "/to/group"],
  ['{"data":1,"type":7}', "/type"],
  ['{"data":1,"headers":{"a":1}}', "/headers/a"],
  ['{"data":1,"to":{"user":[]}}', "/to/user"],
  ['{"data":1,"to":7}', "/to"],
  ['{"data":1,"headers":7}', "/headers"],
  ['{"data":1,"key":7}', "/key"],
])("D1 the body %s is refused at %j", (body, pointer) => {
  expect(refusal(body)).toEqual(["invalid-body", pointer]);
});

test("B16 D2 __proto__ is refused as a name, is kept as data, and changes no object", () => {
  expect(refusal('{"data":1,"__proto__":{"topic":"x"}}')).toEqual(["invalid-body", "/__proto__"]);
  expect(refusal('{"data":1,"headers":{"__proto__":"h"}}')).toEqual([
    "invalid-body",
    "/headers/__proto__",
  ]);
  const [record] = records('{"data":{"__proto__":{"polluted":1}}}');
  expect(text(record?.value)).toBe('{"__proto__":{"polluted":1}}');
  expect("polluted" in {}).toBe(false);
});

test("D2 a hundred thousand levels of nesting are refused, or stored, in bounded time", () => {
  const startedMs = performance.now();
  const nested = `{"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  try {
    records(nested);
  } catch (error) {
    expect(error).toBeInstanceOf(HeadgateError);
  }
  expect(performance.now() - startedMs).toBeLessThan(2000);
});

test("a topic that is not served is refused", () => {
  expect(refusal({ topic: "other", data: 1 })[0]).toBe("topic-not-found");
  expect(records([{ topic: "payments", data: 1 }, { data: 2 }]).map(({ topic }) => topic)).toEqual([
    "payments",
    "events",
  ]);
});
