import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import {
  CONTEXT,
  errorOf,
  refusalOf,
  shown,
  type ShownRecord,
} from "../../test/support/outgoing.ts";
import { parseJson } from "./json-text.ts";
import { type PublishedEvent, publishedEventSchema, toRecord } from "./published-event.ts";

/** The record of an event, given as JSON text or as a value. */
function record(event: unknown): ShownRecord {
  return shown(toRecord(typeof event === "string" ? parseJson(event) : event, "", CONTEXT));
}

const refusal = (event: unknown): [string, string | undefined] => refusalOf(() => record(event));

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
  expect(record({ type: "a\u2028\uFEFF", data: 1 }).headers).toEqual([["type", "a\u2028\uFEFF"]]);
});

test.each([["a\r"], ["a\n"], ["a\0b"], ["\udc00"]])("A3 A10 the key %j is refused", (key) => {
  expect(refusal({ key, data: 1 })).toEqual(["invalid-event", "/key"]);
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
  const { headers } = record({ data: 1, to: { user: ["a", "b"], channel: "c", client: "d" } });
  expect(headers).toEqual([
    ["headgate-user", "a"],
    ["headgate-user", "b"],
    ["headgate-channel", "c"],
    ["headgate-client", "d"],
  ]);
});

test("A10 a lone surrogate in data stays an escape: the bytes are UTF-8", () => {
  expect(record('{"data":"\\ud800"}').value).toBe('"\\ud800"');
});

test.each([
  ["9007199254740993"],
  ["1.0"],
  ["1e400"],
  ["-0"],
  ['{"a":[12345678901234567890,0.1000]}'],
])("A20 the numbers in %s are stored as they were written", (data) => {
  expect(record(`{"data": ${data} }`).value).toBe(data);
});

test("A14 null with a key is a tombstone; without one it is the text null", () => {
  expect(record({ key: "k", data: null }).value).toBeNull();
  expect(record({ data: null }).value).toBe("null");
});

test("any JSON as data comes back as it was", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (data) => {
      const { value } = record({ data });
      expect(JSON.parse(value ?? "")).toEqual(JSON.parse(JSON.stringify(data)));
    }),
  );
});

test.each([
  ["null", ""],
  ["1", ""],
  ['"x"', ""],
  ["[]", ""],
  ["{}", "/data"],
  ['{"data":1,"extra":2}', "/extra"],
  ['{"data":1,"to":{"group":"x"}}', "/to/group"],
  ['{"data":1,"type":7}', "/type"],
  ['{"data":1,"headers":{"a":1}}', "/headers/a"],
  ['{"data":1,"to":{"user":[]}}', "/to/user"],
  ['{"data":1,"to":{"user":""}}', "/to/user"],
  ['{"data":1,"to":{"channel":["a",""]}}', "/to/channel/1"],
  ['{"data":1,"to":{"client":7}}', "/to/client"],
  ['{"data":1,"to":7}', "/to"],
  ['{"data":1,"headers":7}', "/headers"],
  ['{"data":1,"key":7}', "/key"],
])("D1 the event %s is refused at %j", (event, pointer) => {
  expect(refusal(event)).toEqual(["invalid-body", pointer]);
});

test("B16 D2 __proto__ is refused as a name, is kept as data, and changes no object", () => {
  expect(refusal('{"data":1,"__proto__":{"topic":"x"}}')).toEqual(["invalid-body", "/__proto__"]);
  expect(refusal('{"data":1,"headers":{"__proto__":"h"}}')).toEqual([
    "invalid-body",
    "/headers/__proto__",
  ]);
  expect(record('{"data":{"__proto__":{"polluted":1}}}').value).toBe(
    '{"__proto__":{"polluted":1}}',
  );
  expect("polluted" in {}).toBe(false);
});

describe("sizes are bounded:", () => {
  const many = (length: number): string[] => Array.from({ length }, (_, i) => `n${i}`);

  test.each<[string, Partial<PublishedEvent>, string]>([
    ["a topic of 250 characters", { topic: "t".repeat(250) }, "/topic"],
    ["a type of 1,025 characters", { type: "t".repeat(1025) }, "/type"],
    ["101 users", { to: { user: many(101) } }, "/to/user"],
    ["a channel of 1,025 characters", { to: { channel: "c".repeat(1025) } }, "/to/channel"],
    [
      "101 headers",
      { headers: Object.fromEntries(many(101).map((name) => [name, ""])) },
      "/headers",
    ],
  ])("%s are refused", (_name, fields, pointer) => {
    expect(refusal({ data: 1, ...fields })).toEqual(["invalid-body", pointer]);
  });

  test("what just fits is taken", () => {
    const { headers } = record({
      type: "t".repeat(1024),
      data: 1,
      headers: Object.fromEntries(many(100).map((name) => [name, ""])),
      to: { user: many(100), channel: "c".repeat(1024), client: many(100) },
    });
    expect(headers.length).toBe(1 + 100 + 100 + 1 + 100);
  });

  test("D10 ten thousand headers are refused, in bounded time", () => {
    const headers = Object.fromEntries(many(10_000).map((name) => [name, "x"]));
    const startedMs = performance.now();
    expect(refusal({ data: 1, headers })).toEqual(["invalid-body", "/headers"]);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });

  test("D2 a hundred thousand unknown fields are refused with one short message", () => {
    const fields = Object.fromEntries(many(100_000).map((name) => [name, 1]));
    const error = errorOf(() => record({ data: 1, ...fields }));
    expect(error.message).toBe('"/n0" cannot be used: unknown field');
  });

  test("D2 the name of a field is cut in message and pointer", () => {
    const error = errorOf(() => record({ data: 1, ["n".repeat(100_000)]: 1 }));
    expect(error.details.pointer).toBe(`/${"n".repeat(100)}`);
    expect(error.message.length).toBeLessThan(200);
  });
});

describe("a topic", () => {
  test("that is not served is refused; left out, it is the default one", () => {
    expect(refusal({ topic: "other", data: 1 })[0]).toBe("topic-not-found");
    expect(record({ topic: "payments", data: 1 }).topic).toBe("payments");
    expect(record({ data: 2 }).topic).toBe("events");
  });

  test("C15 that may not be published to is refused, whether it is served or not", () => {
    const errors = ["secret-served", "secret-other"].map((topic) =>
      errorOf(() => record({ topic, data: 1 })),
    );
    for (const error of errors) {
      expect([error.code, error.details.pointer]).toEqual(["forbidden", "/topic"]);
    }
    const [served, other] = errors.map(({ message }) => message);
    expect(served?.replace("served", "other")).toBe(other);
  });

  test("C15 that is the default is refused no less", () => {
    const context = { ...CONTEXT, defaultTopic: "secret-served" };
    expect(refusalOf(() => toRecord({ data: 1 }, "/2", context))).toEqual([
      "forbidden",
      "/2/topic",
    ]);
  });
});

test("C15 a channel that may not be published to is refused; users and clients are not asked about", () => {
  const to = { channel: ["open", "secret-room"], user: "secret", client: "secret" };
  expect(refusal({ data: 1, to })).toEqual(["forbidden", "/to/channel"]);
  expect(record({ data: 1, to: { ...to, channel: "open" } }).headers.length).toBe(3);
});

describe("an event that a program made", () => {
  test("may have fields that are undefined, and any value that can be written as JSON", () => {
    const event: PublishedEvent = {
      topic: undefined,
      type: undefined,
      key: undefined,
      data: { at: new Date(0), gone: undefined },
      headers: undefined,
      to: undefined,
    };
    expect(record(event)).toEqual({
      topic: "events",
      key: null,
      value: '{"at":"1970-01-01T00:00:00.000Z"}',
      headers: [],
    });
  });

  test.each([[1n], [(): number => 1], [undefined]])("is refused where its data is %p", (data) => {
    expect(refusal({ data })).toEqual(["invalid-body", "/data"]);
  });

  test("has a type that the schema takes", () => {
    // Compiles only while the written type and the schema agree.
    type Checked = z.input<typeof publishedEventSchema.def.out>;
    const fields: Readonly<Record<keyof PublishedEvent, keyof Checked>> = {
      topic: "topic",
      type: "type",
      key: "key",
      data: "data",
      headers: "headers",
      to: "to",
    };
    expect(Object.keys(fields)).toEqual(Object.keys(publishedEventSchema.def.out.def.shape));
  });
});

test.each([["input"], ["output"]] as const)(
  "the schema describes itself for OpenAPI (%s)",
  (io) => {
    const schema = z.toJSONSchema(publishedEventSchema, { io });
    expect(schema).toMatchObject({
      title: "Event",
      type: "object",
      required: ["data"],
      additionalProperties: false,
      properties: {
        topic: { type: "string", maxLength: 249 },
        key: { type: ["string", "null"] },
        headers: { type: "object", maxProperties: 100, additionalProperties: { type: "string" } },
        to: { type: "object", additionalProperties: false },
      },
    });
    const properties = Object.values(schema.properties ?? {});
    expect(properties.length).toBe(6);
    for (const property of properties) expect(property).toHaveProperty("description");
  },
);
