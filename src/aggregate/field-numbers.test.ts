import { describe, expect, test } from "bun:test";
import { fieldReader, MAX_PARSED_BYTES } from "./field-numbers.ts";

function read(text: string | Uint8Array | null, ...fields: string[]): (number | undefined)[] {
  const value = typeof text === "string" ? Buffer.from(text) : text;
  return fieldReader(fields)(value).map((measure) => measure?.value);
}

test("a path leads through members and, by digits, into lists", () => {
  const text = '{"a":{"b":-1.5,"0":7},"list":[{"price":3},[4,5]]}';
  expect(read(text, "a.b", "a.0", "list.0.price", "list.1.1")).toEqual([-1.5, 7, 3, 5]);
});

test("a list at the top, and white space before it, are JSON too", () => {
  expect(read(" \r\n\t[1, 2]", "1")).toEqual([2]);
});

test.each([
  ["a member that is not there", '{"a":1}', "b"],
  ["a number in quotes", '{"a":"1"}', "a"],
  ["an object", '{"a":{"b":1}}', "a"],
  ["null, and what would be in it", '{"a":null}', "a.b"],
  ["a number's own members", '{"a":1}', "a.b"],
  ["a list's length", '{"a":[1,2]}', "a.length"],
  ["a text's length", '{"a":"four"}', "a.length"],
  ["a place that is not there", '{"a":[1]}', "a.1"],
  ["what every object inherits", "{}", "constructor.length"],
  ["what every object is", "{}", "__proto__.length"],
  ["a number that no double can hold", '{"a":1e999}', "a"],
  ["a number that sums would not hold", '{"a":1e300}', "a"],
  ["half a JSON text", '{"a":1', "a"],
  ["a number alone", "1", "a"],
  ["no text", "", "a"],
])("there is no number in %s", (_, text, field) => {
  expect(read(text, field)).toEqual([undefined]);
});

test("members that are called like what objects inherit are found where they are their own", () => {
  const text = '{"__proto__":{"a":1},"constructor":2,"hasOwnProperty":3}';
  expect(read(text, "__proto__.a", "constructor", "hasOwnProperty")).toEqual([1, 2, 3]);
});

describe("nothing is read of", () => {
  test("a tombstone", () => expect(read(null, "a")).toEqual([undefined]));

  test("bytes that are no UTF-8", () => {
    expect(read(Buffer.from('{"a":1,"b":"\u00ff"}', "latin1"), "a")).toEqual([undefined]);
  });

  test("a value that is too large, while one that just fits is read", () => {
    const padded = (bytes: number): string => `{"a":1}${" ".repeat(bytes - 7)}`;
    expect(read(padded(MAX_PARSED_BYTES), "a")).toEqual([1]);
    expect(read(padded(MAX_PARSED_BYTES + 1), "a")).toEqual([undefined]);
  });
});

test("minus zero is zero", () => {
  expect(Object.is(read('{"a":-0}', "a")[0], 0)).toBe(true);
});
