import { expect, test } from "bun:test";
import { isJsonType, isUtf8Type, parseMediaType } from "./media-type.ts";

test.each([
  ["application/json", "application/json", undefined],
  ["Application/JSON; Charset=UTF-8", "application/json", "utf-8"],
  ['text/plain;a="x;charset=latin1";charset="utf-8"', "text/plain", "utf-8"],
  [" text/x-a+b ", "text/x-a+b", undefined],
])("%j is the type %s with the charset %s", (text, essence, charset) => {
  expect(parseMediaType(text)).toEqual({ essence, charset });
});

test.each([[""], ["json"], ["a/"], ["/b"], ["a/b/c"], ["a b/c"], ["application/json, text/plain"]])(
  "%j is no type",
  (text) => {
    expect(parseMediaType(text)).toBeUndefined();
  },
);

test("a type of more than 1,024 characters is none", () => {
  expect(parseMediaType(`a/${"b".repeat(1022)}`)).toBeDefined();
  expect(parseMediaType(`a/${"b".repeat(1023)}`)).toBeUndefined();
});

test.each([
  ["application/json", true],
  ["text/json;charset=x", true],
  ["application/vnd.a.b+json", true],
  ["application/jsonp", false],
  ["application/json+xml", false],
  ["text/plain", false],
])("%s is JSON: %p", (text, expected) => {
  const type = parseMediaType(text);
  expect(type && isJsonType(type)).toBe(expected);
});

test.each([
  ["text/plain", true],
  ["text/plain;charset=UTF-8", true],
  ["text/plain;charset=utf8", true],
  ["text/plain;charset=iso-8859-1", false],
  ["text/plain;charset=utf-16", false],
])("%s is UTF-8: %p", (text, expected) => {
  const type = parseMediaType(text);
  expect(type && isUtf8Type(type)).toBe(expected);
});
