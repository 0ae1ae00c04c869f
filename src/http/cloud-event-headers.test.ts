import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CONTEXT, errorOf, shown, type ShownRecord } from "../../test/support/outgoing.ts";
import { hasCloudEventHeaders, readBinaryCloudEvent } from "./cloud-event-headers.ts";

const REQUIRED = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/tests",
  "ce-type": "test.happened",
};

function read(headers: Readonly<Record<string, string>>, body: Uint8Array = Buffer.of()) {
  return readBinaryCloudEvent(new Headers({ ...REQUIRED, ...headers }), body, CONTEXT);
}

/** What an attribute is, whose header has this value. */
function decoded(value: string): string | undefined {
  const made: ShownRecord = shown(read({ "ce-x": value }));
  return made.headers.find(([name]) => name === "ce_x")?.[1];
}

test("only headers that begin with ce- make a CloudEvent", () => {
  expect(hasCloudEventHeaders(new Headers({ "CE-Id": "1" }))).toBe(true);
  expect(hasCloudEventHeaders(new Headers({ "x-ce-id": "1", ce: "1", cent: "1" }))).toBe(false);
});

test("attributes come from the headers and the content type, the data from the body, byte for byte", () => {
  const body = Buffer.from([0, 255, 13, 10]);
  const made = read({ "Content-Type": "application/octet-stream", "CE-Region": "north" }, body);
  expect(made.value).toEqual(body);
  expect(new Map(shown(made).headers)).toEqual(
    new Map([
      ["ce_specversion", "1.0"],
      ["ce_id", "1"],
      ["ce_source", "/tests"],
      ["ce_type", "test.happened"],
      ["ce_region", "north"],
      ["content-type", "application/octet-stream"],
    ]),
  );
});

test("A14 no body and no content type is an empty value, and no content type", () => {
  const made = read({});
  expect(made.value).toEqual(Buffer.of());
  expect(made.headers.some(([name]) => name === "content-type")).toBe(false);
});

describe("D5 a value", () => {
  test.each([
    ["plain", "plain"],
    ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"],
    ["%e2%82%ac", "€"],
    ["%2520", "%20"],
    ["%41", "A"],
    ["a b, c", "a b, c"],
    ["a+b", "a+b"],
    ['"quoted string"', "quoted string"],
    ['"a \\"b\\" \\\\ \\c"', 'a "b" \\ c'],
    ['"%22"', '"'],
    ["%22a%22", '"a"'],
    ['""', ""],
    ['a"b"', 'a"b"'],
  ])("%s is unquoted and percent-decoded once: %s", (value, expected) => {
    expect(decoded(value)).toBe(expected);
  });

  test.each([
    ["%C0%A0"],
    ["%ED%A0%80"],
    ["%FF"],
    ["%E2%82"],
    ["100%"],
    ["%zz"],
    ["é"],
    ["\u00E2\u0082\u00AC"],
    ['"no end'],
    ['"no end\\"'],
    ['"a"b"'],
  ])("%j is refused, and the header named", (value) => {
    const error = errorOf(() => decoded(value));
    expect(error.code).toBe("invalid-body");
    expect(error.message).toStartWith("The header ce-x ");
    expect(error.details.pointer).toBeUndefined();
  });

  test.each([["%0A"], ["a%0D%0Adata:%20evil"], ["%00"], ["%C2%85"], ["%EF%BF%BE"]])(
    "A1 A2 A3 %s is a control character once it is decoded",
    (value) => {
      expect(errorOf(() => decoded(value)).code).toBe("invalid-event");
    },
  );

  test("of any text that was encoded as the binding asks comes back", () => {
    const allowed = fc
      .string({ unit: "binary" })
      .filter((text) => !/[\p{Cc}\p{Noncharacter_Code_Point}]/u.test(text));
    fc.assert(
      fc.property(allowed, (text) => {
        expect(decoded(encodeURIComponent(text))).toBe(text);
        const sparing = text.replaceAll(/[^!#$&-~]/gu, encodeURIComponent);
        expect(decoded(sparing)).toBe(text);
      }),
    );
  });

  test("of backslashes is read in bounded time", () => {
    const startedMs = performance.now();
    expect(errorOf(() => decoded(`"${"\\a".repeat(50_000)}`)).code).toBe("invalid-body");
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});

test.each<[Record<string, string>, string]>([
  [{ "ce-datacontenttype": "a/b" }, "The header ce-datacontenttype must not be there"],
  [{ "ce-data": "1" }, "The header ce-data is no name"],
  [{ "ce-a_b": "1" }, "The header ce-a_b is no name"],
  [{ "ce-": "1" }, "The header ce- is no name"],
  [{ "ce-id": "" }, "The header ce-id is empty"],
  [{ "ce-specversion": "0.3" }, 'The header ce-specversion is "0.3"'],
  [{ "content-type": "json" }, 'The header Content-Type is "json"'],
])("%j is refused, and the header named", (headers, message) => {
  const error = errorOf(() => read(headers));
  expect(error.code).toBe("invalid-body");
  expect(error.message).toStartWith(message);
});

test("D5 without ce-id it is refused", () => {
  const headers = new Headers(REQUIRED);
  headers.delete("ce-id");
  const error = errorOf(() => readBinaryCloudEvent(headers, Buffer.of(), CONTEXT));
  expect(error.message).toBe("The header ce-id is missing; every CloudEvent has it");
});
