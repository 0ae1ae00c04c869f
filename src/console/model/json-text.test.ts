import { describe, expect, test } from "bun:test";
import { array, assert, boolean, constant, jsonValue, oneof, property } from "fast-check";
import { runs } from "../../../test/support/effort.ts";
import { indentJson, memberText } from "./json-text.ts";

const laidOut = (json: string): string =>
  indentJson(json)
    .map(({ text }) => text)
    .join("");

describe("a member's text", () => {
  test("is as it stands there, with all its digits", () => {
    const json = '{"a":"payload","headers":{"payload":1},"payload": {"n":9007199254740993} ,"z":1}';
    expect(memberText(json, "payload")).toBe('{"n":9007199254740993}');
    expect(memberText(json, "z")).toBe("1");
    expect(memberText(json, "a")).toBe('"payload"');
  });

  test("is not found in strings, in what lies deeper, or where there is none", () => {
    expect(memberText('{"a":"\\"payload\\":1,","b":["payload",{"payload":2}]}', "payload")).toBe(
      undefined,
    );
    for (const broken of ["", "{", '{"payload"', '{"payload":', "[]", '"payload"']) {
      expect(memberText(broken, "payload")).toBeUndefined();
    }
  });

  test("is that of any JSON", () => {
    assert(
      property(jsonValue(), jsonValue(), array(jsonValue()), (before, value, after) => {
        const json = JSON.stringify({ before, payload: value, after });
        expect(memberText(json, "payload")).toBe(JSON.stringify(value));
      }),
      { numRuns: runs(500) },
    );
  });
});

describe("JSON laid out over lines", () => {
  test("is what JSON.stringify makes of it", () => {
    const spaced = oneof(
      constant(undefined),
      constant(1),
      boolean().map(() => "\t"),
    );
    assert(
      property(jsonValue(), spaced, (value, space) => {
        const json = JSON.stringify(value, undefined, space);
        expect(laidOut(json)).toBe(JSON.stringify(JSON.parse(json), undefined, 2));
      }),
      { numRuns: runs(500) },
    );
  });

  test("keeps its digits, and says what is what", () => {
    expect(laidOut('{"n":9007199254740993}')).toBe('{\n  "n": 9007199254740993\n}');
    expect(indentJson('{"k":["v",-1,null]}').filter(({ kind }) => kind !== "punctuation")).toEqual([
      { kind: "key", text: '"k"' },
      { kind: "string", text: '"v"' },
      { kind: "number", text: "-1" },
      { kind: "literal", text: "null" },
    ]);
  });

  test("grows no more than in proportion, however deep it is", () => {
    const depth = 50_000;
    expect(laidOut("[".repeat(depth) + "]".repeat(depth)).length).toBeLessThan(depth * 300);
  });

  test("ends, whatever the text is", () => {
    for (const text of ["", '"', '{"a', "]]]", "{{", "\\", "a b"]) {
      expect(indentJson(text)).toBeArray();
    }
  });
});
