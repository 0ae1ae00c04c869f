import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { errorOf, refusalOf } from "../../test/support/outgoing.ts";
import { numberText, parseJson, toJsonText } from "./json-text.ts";

/** The default of SSE_MAX_BODY_BYTES: the longest text that comes from a stranger. */
const MAX_BODY_BYTES = 1024 * 1024;

test("any JSON comes back as it was", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.parse(toJsonText(parseJson(text), ""))).toEqual(JSON.parse(text));
    }),
  );
});

test("A20 any number comes back digit for digit", () => {
  const digits = fc.stringMatching(/^-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?$/);
  fc.assert(
    fc.property(digits, (number) => {
      expect(toJsonText(parseJson(`{ "a": [ ${number} ] }`), "")).toBe(`{"a":[${number}]}`);
      expect(numberText(parseJson(number))).toBe(number);
    }),
  );
});

test("what is no number has no number's text", () => {
  expect(["1", true, null, {}, [1], { rawJSON: "1" }].map(numberText)).toEqual(
    Array.from({ length: 6 }),
  );
});

test("D1 what is not JSON is refused with the place and the name that were given", () => {
  expect(refusalOf(() => parseJson("{"))).toEqual(["invalid-body", ""]);
  const error = errorOf(() => parseJson("nonsense", "/3", "Line 7"));
  expect(error.details.pointer).toBe("/3");
  expect(error.message).toStartWith("Line 7 is not JSON (");
});

describe("D2", () => {
  test.each([
    ["[", "]"],
    ['{"a":', "}"],
    ['[{"a":', "}]"],
  ])("a hundred thousand levels of %s are refused at once", (open, close) => {
    const startedMs = performance.now();
    const nested = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
    const error = errorOf(() => parseJson(nested));
    expect(error.message).toBe("The body is not JSON (it is nested too deeply)");
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });

  test("whatever depth can be read can be written, or is refused", () => {
    for (let depth = 100; depth < 10_000; depth += 100) {
      const text = "[".repeat(depth) + "]".repeat(depth);
      try {
        expect(toJsonText(parseJson(text), "")).toBe(text);
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid-body" });
      }
    }
  });

  test.each([
    ["distinct", (i: number) => `k${i}`],
    ["equal", () => "k"],
    ["rising integer", (i: number) => String(i)],
    ["falling integer", (i: number) => String(4_294_967_290 - i)],
    ["scattered integer", (i: number) => String((i * 2_654_435_761) % 4_294_967_296)],
    ["__proto__", () => "__proto__"],
  ])("a body full of %s keys is read and written in bounded time", (_name, key) => {
    const members: string[] = [];
    for (let bytes = 2; bytes < MAX_BODY_BYTES; bytes += (members.at(-1)?.length ?? 0) + 1) {
      members.push(`"${key(members.length)}":1`);
    }
    const startedMs = performance.now();
    const written = toJsonText(parseJson(`{${members.join()}}`), "");
    expect(performance.now() - startedMs).toBeLessThan(2000);
    expect(written.slice(-3)).toBe(":1}");
  });
});

test("D2 of keys that repeat the last one counts", () => {
  expect(toJsonText(parseJson('{"a":1,"a":{"b":2},"a":3.0}'), "")).toBe('{"a":3.0}');
});

test("B16 D2 __proto__ is a key like any other, and changes no object", () => {
  const text = '{"__proto__":{"polluted":1},"a":{"__proto__":2}}';
  expect(toJsonText(parseJson(text), "")).toBe(text);
  expect("polluted" in {}).toBe(false);
});

test("A10 a lone surrogate is written as an escape", () => {
  expect(toJsonText(parseJson('"\\ud800"'), "")).toBe('"\\ud800"');
});

describe("a value of a program's own", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);

  test.each<[string, unknown]>([
    ["a cycle", cycle],
    ["a bigint", { a: 1n }],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    [
      "a toJSON that throws",
      {
        toJSON: (): never => {
          throw new Error("no");
        },
      },
    ],
  ])("that is %s is refused with its place", (_name, value) => {
    expect(refusalOf(() => toJsonText(value, "/data"))).toEqual(["invalid-body", "/data"]);
  });

  test("that is JSON is written as JavaScript writes it", () => {
    const value = { a: [1.5, -0], b: new Date(0), c: undefined };
    expect(toJsonText(value, "")).toBe(JSON.stringify(value));
  });
});
