import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CONTEXT, refusalOf, shown, type ShownRecord } from "../../test/support/outgoing.ts";
import { readCloudEvent, readCloudEventBatch } from "./cloud-event-json.ts";

const REQUIRED = '"specversion":"1.0","id":"1","source":"/tests","type":"test.happened"';

/** The record of an event of which only these members are given, as JSON text. */
function record(members: string): ShownRecord | undefined {
  return readCloudEvent(`{${REQUIRED}${members === "" ? "" : `,${members}`}}`, CONTEXT).map(
    shown,
  )[0];
}

const refusal = (members: string): [string, string | undefined] => refusalOf(() => record(members));

const contentType = (made: ShownRecord | undefined): string | undefined =>
  made?.headers.find(([name]) => name === "content-type")?.[1];

describe("data", () => {
  test.each([
    ['{ "a" : [ 9007199254740993 , 1.0 ] }', '{"a":[9007199254740993,1.0]}'],
    ['"I\'m just a string"', '"I\'m just a string"'],
    ["null", "null"],
    ["-0", "-0"],
    ["false", "false"],
  ])("A14 A20 %s without a content type is JSON, said and kept as written", (data, value) => {
    const made = record(`"data":${data},"partitionkey":"k"`);
    expect([made?.value, contentType(made)]).toEqual([value, "application/json"]);
  });

  test.each([["application/json; charset=utf-8"], ["text/json"], ["application/vnd.x+json"]])(
    "of the type %s is JSON, and the type is left as it is",
    (type) => {
      const made = record(`"datacontenttype":"${type}","data":"text"`);
      expect([made?.value, contentType(made)]).toEqual(['"text"', type]);
    },
  );

  test("of another type is the text of a string", () => {
    const made = record('"datacontenttype":"application/xml","data":"<much wow=\\"xml\\"/>"');
    expect([made?.value, contentType(made)]).toEqual(['<much wow="xml"/>', "application/xml"]);
  });

  test("in Base64 is bytes, whatever the type", () => {
    const bytes = Buffer.from([0, 1, 254, 255]);
    for (const members of ["", ',"datacontenttype":"application/json"']) {
      const text = `{${REQUIRED}${members},"data_base64":"${bytes.toString("base64")}"}`;
      expect(readCloudEvent(text, CONTEXT)[0]?.value).toEqual(bytes);
    }
    expect(contentType(record('"data_base64":"AA=="'))).toBeUndefined();
  });

  test.each([[""], ['"data_base64":null'], ['"datacontenttype":"application/json"']])(
    "A14 that is not there (%s) is an empty value, and no content type is made up",
    (members) => {
      const made = record(members);
      expect(made?.value).toBe("");
      expect(contentType(made)).toBe(members.includes("json") ? "application/json" : undefined);
    },
  );

  test.each([
    ['"data":1,"data_base64":"AA=="', "/data_base64"],
    ['"data":null,"data_base64":"AA=="', "/data_base64"],
    ['"data_base64":"AA="', "/data_base64"],
    ['"data_base64":"A A="', "/data_base64"],
    ['"data_base64":"_w=="', "/data_base64"],
    ['"data_base64":7', "/data_base64"],
    ['"data_base64":["AA=="]', "/data_base64"],
    ['"datacontenttype":"text/plain","data":7', "/data"],
    ['"datacontenttype":"text/plain","data":null', "/data"],
    ['"datacontenttype":"text/plain;charset=latin1","data":"é"', "/data"],
  ])("D1 of %s is refused", (members, pointer) => {
    expect(refusal(members)).toEqual(["invalid-body", pointer]);
  });

  test("A10 with a lone surrogate stays an escape in JSON, and is refused as text", () => {
    expect(record('"data":"\\ud800"')?.value).toBe('"\\ud800"');
    expect(refusal('"datacontenttype":"text/plain","data":"\\ud800"')).toEqual([
      "invalid-event",
      "/data",
    ]);
  });

  test("of any bytes, and any JSON, comes back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.jsonValue(), (bytes, json) => {
        const base64 = Buffer.from(bytes).toString("base64");
        const [binary] = readCloudEvent(`{${REQUIRED},"data_base64":"${base64}"}`, CONTEXT);
        expect(Buffer.from(binary?.value ?? [])).toEqual(Buffer.from(bytes));
        const text = record(`"data":${JSON.stringify(json)}`)?.value ?? "";
        expect(text).toBe(JSON.stringify(JSON.parse(JSON.stringify(json))));
      }),
    );
  });
});

describe("attributes", () => {
  test("are strings, booleans and integers, each in its canonical form; null is none", () => {
    const made = record(
      '"subject":null,"yes":true,"most":2147483647,"least":-2147483648,"s":"1.50"',
    );
    expect(made?.headers.slice(4)).toEqual([
      ["ce_yes", "true"],
      ["ce_most", "2147483647"],
      ["ce_least", "-2147483648"],
      ["ce_s", "1.50"],
    ]);
  });

  test.each([
    ['"x":1.5', "/x"],
    ['"x":1.0', "/x"],
    ['"x":1e3', "/x"],
    ['"x":2147483648', "/x"],
    ['"x":-2147483649', "/x"],
    ['"x":9007199254740993', "/x"],
    ['"x":{}', "/x"],
    ['"x":[]', "/x"],
    ['"subject":7', "/subject"],
    ['"time":1764000000000', "/time"],
    ['"dataschema":true', "/dataschema"],
    ['"id":1', "/id"],
    ['"specversion":1.0', "/specversion"],
    ['"type":null', "/type"],
    ['"Upper":"x"', "/Upper"],
    ['"a/b":"x"', "/a~1b"],
    ['"__proto__":"x"', "/__proto__"],
    ['"__proto__":{"id":"x"}', "/__proto__"],
    ['"constructor_":"x"', "/constructor_"],
  ])("D1 D2 of %s are refused", (members, pointer) => {
    expect(refusal(members)).toEqual(["invalid-body", pointer]);
  });

  test("D2 ten thousand of them are refused, in bounded time", () => {
    const members = Array.from({ length: 10_000 }, (_, i) => `"n${i}":${i}`).join();
    const startedMs = performance.now();
    expect(refusal(members)).toEqual(["invalid-body", ""]);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});

test.each([["null"], ["1"], ['"x"'], ["[]"], [`[{${REQUIRED}}]`], ["{"], [""]])(
  "D1 %s is no event",
  (text) => {
    expect(refusalOf(() => readCloudEvent(text, CONTEXT))).toEqual(["invalid-body", ""]);
  },
);

describe("D6 a batch", () => {
  const batch = (...events: string[]): ShownRecord[] =>
    readCloudEventBatch(`[${events.join()}]`, CONTEXT).map(shown);

  test("is all of its events in their order", () => {
    const events = ["1", "2", "3"].map((data) => `{${REQUIRED},"data":${data}}`);
    expect(batch(...events).map(({ value }) => value)).toEqual(["1", "2", "3"]);
  });

  test("with one bad event is refused whole, and names its place", () => {
    const good = `{${REQUIRED}}`;
    const pointerOf = (bad: string): unknown => refusalOf(() => batch(good, bad, good));
    expect(pointerOf("{}")).toEqual(["invalid-body", "/1/specversion"]);
    expect(pointerOf("7")).toEqual(["invalid-body", "/1"]);
    expect(pointerOf(`{${REQUIRED},"x":"\\n"}`)).toEqual(["invalid-event", "/1/x"]);
    expect(pointerOf(`{${REQUIRED},"data":1,"data_base64":""}`)).toEqual([
      "invalid-body",
      "/1/data_base64",
    ]);
  });

  test.each([["[]"], [`{${REQUIRED}}`], ["null"], ["7"]])("is not %s", (text) => {
    expect(refusalOf(() => readCloudEventBatch(text, CONTEXT))).toEqual(["invalid-body", ""]);
  });

  test("C15 for a topic that may not be published to points at the first event", () => {
    const context = { ...CONTEXT, defaultTopic: "secret-served" };
    const read = (): unknown => readCloudEventBatch(`[{${REQUIRED}}]`, context);
    expect(refusalOf(read)).toEqual(["forbidden", "/0"]);
  });
});
