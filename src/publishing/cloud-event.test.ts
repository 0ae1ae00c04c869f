import { describe, expect, test } from "bun:test";
import { CONTEXT, errorOf, refusalOf, shown } from "../../test/support/outgoing.ts";
import { cloudEventRecord, type PlaceOf } from "./cloud-event.ts";

const REQUIRED = { specversion: "1.0", id: "1", source: "/tests", type: "test.happened" };

const placeOf: PlaceOf = (name) => ({ what: name ?? "event", pointer: `/${name ?? ""}` });

function record(attributes: Readonly<Record<string, string>>, data?: Uint8Array) {
  const event = { attributes: new Map(Object.entries({ ...REQUIRED, ...attributes })), data };
  return cloudEventRecord(event, placeOf, CONTEXT);
}

const refusal = (attributes: Readonly<Record<string, string>>): [string, string | undefined] =>
  refusalOf(() => record(attributes));

test("every attribute is a header, the content type is Kafka's own, the data is the value", () => {
  const attributes = {
    subject: "s",
    time: "2026-11-21T14:00:00.120+01:00",
    dataschema: "urn:x",
    datacontenttype: "text/plain; a=B",
    region: "north",
  };
  const data = Buffer.from([0, 255, 10]);
  const made = record(attributes, data);
  expect(made.value).toEqual(data);
  expect(shown(made)).toMatchObject({
    topic: "events",
    key: null,
    headers: [
      ["ce_specversion", "1.0"],
      ["ce_id", "1"],
      ["ce_source", "/tests"],
      ["ce_type", "test.happened"],
      ["ce_subject", "s"],
      ["ce_time", "2026-11-21T14:00:00.120+01:00"],
      ["ce_dataschema", "urn:x"],
      ["content-type", "text/plain; a=B"],
      ["ce_region", "north"],
    ],
  });
});

test("the partition key is the record's key, and stays an attribute", () => {
  const { key, headers } = shown(record({ partitionkey: "k-1" }));
  expect(key).toBe("k-1");
  expect(headers).toContainEqual(["ce_partitionkey", "k-1"]);
});

test("A14 an event without data has an empty value, and is no tombstone, even with a key", () => {
  expect(record({ partitionkey: "k" }).value).toEqual(new Uint8Array());
});

test("A17 attributes named like our headers cannot become them", () => {
  const { headers } = shown(record({ headgateuser: "a", type: "t" }));
  expect(headers).toContainEqual(["ce_headgateuser", "a"]);
  expect(headers.some(([name]) => name.startsWith("headgate"))).toBe(false);
  expect(refusal({ "headgate-user": "a" })).toEqual(["invalid-body", "/headgate-user"]);
});

describe("what the specification asks for:", () => {
  test.each([["specversion"], ["id"], ["source"], ["type"]])("D5 %s must be there", (name) => {
    const attributes = new Map(Object.entries(REQUIRED));
    attributes.delete(name);
    const event = { attributes, data: undefined };
    expect(refusalOf(() => cloudEventRecord(event, placeOf, CONTEXT))).toEqual([
      "invalid-body",
      `/${name}`,
    ]);
  });

  test.each([
    ["specversion"],
    ["id"],
    ["source"],
    ["type"],
    ["subject"],
    ["time"],
    ["dataschema"],
    ["datacontenttype"],
    ["partitionkey"],
  ])("%s must not be empty", (name) => {
    expect(refusal({ [name]: "" })).toEqual(["invalid-body", `/${name}`]);
  });

  test.each([
    ["specversion", "0.3"],
    ["specversion", "1.0.2"],
    ["time", "yesterday"],
    ["time", "2026-02-29T00:00:00Z"],
    ["datacontenttype", "json"],
    ["type", "t".repeat(1025)],
  ])("%s must not be %s", (name, value) => {
    expect(refusal({ [name]: value })).toEqual(["invalid-body", `/${name}`]);
  });

  test("an extension may be empty", () => {
    expect(shown(record({ note: "" })).headers).toContainEqual(["ce_note", ""]);
  });

  test.each([["Upper"], ["a_b"], ["a-b"], ["é"], [""], ["data"], ["__proto__"], ["n".repeat(65)]])(
    "an attribute cannot be named %p",
    (name) => {
      expect(refusalOf(() => record({ [name]: "x" }))[0]).toBe("invalid-body");
    },
  );

  test("D10 at most 100 attributes, of names of 64 characters", () => {
    const extensions = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`.padStart(64, "n"), ""]));
    expect(record(extensions(96)).headers.length).toBe(100);
    expect(refusal(extensions(97))).toEqual(["invalid-body", "/"]);
  });
});

test.each([
  ["type", "x\ndata: evil"],
  ["type", "x\0"],
  ["type", "x\u0085"],
  ["type", "\ud800"],
  ["id", "a\r\nb"],
  ["source", "\u007F"],
  ["subject", "\udc00"],
  ["partitionkey", "a\tb"],
  ["extension", "\u001B[0m"],
  ["extension", "\uFFFE"],
  ["extension", "\u{1FFFF}"],
  ["datacontenttype", "text/plain\r\n"],
])("A1 A2 A3 A4 A10 the attribute %s cannot be %j", (name, value) => {
  expect(refusal({ [name]: value })).toEqual(["invalid-event", `/${name}`]);
});

test("A4 U+2028, U+FEFF and a pair of surrogates pass", () => {
  const type = "a\u2028\uFEFF\u{1F600}";
  expect(shown(record({ type })).headers).toContainEqual(["ce_type", type]);
});

test.each([["heartbeat"], ["reset"], ["error"], ["message"], ["close"]])(
  "A15 the reserved type %s is refused",
  (type) => {
    expect(refusal({ type })).toEqual(["invalid-event", "/type"]);
  },
);

test.each([["application/cloudevents+json"], ["Application/CloudEvents"]])(
  "data of the type %s is refused: who reads the topic would take it for the event",
  (datacontenttype) => {
    expect(refusal({ datacontenttype })).toEqual(["invalid-event", "/datacontenttype"]);
  },
);

test("C15 the topic is the one of the request, if it may be published to and is served", () => {
  const publishTo = (defaultTopic: string) => () =>
    cloudEventRecord({ attributes: new Map(Object.entries(REQUIRED)), data: undefined }, placeOf, {
      ...CONTEXT,
      defaultTopic,
    });
  expect(publishTo("payments")().topic).toBe("payments");
  expect(errorOf(publishTo("secret-served")).code).toBe("forbidden");
  expect(errorOf(publishTo("secret-other")).code).toBe("forbidden");
  expect(errorOf(publishTo("other")).code).toBe("topic-not-found");
});
