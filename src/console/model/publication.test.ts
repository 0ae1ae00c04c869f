import { expect, test } from "bun:test";
import { checkJson, itemsOf, publishBody, publishedText } from "./publication.ts";

const EMPTY = { topic: "orders", type: "", key: "", channels: "", data: "1" };

test("what is left empty is left out", () => {
  expect(publishBody(EMPTY)).toBe('{"topic":"orders","data":1}');
});

test("the data goes as it was typed, with all its digits", () => {
  const data = ' {"n": 9007199254740993}\n';
  const body = publishBody({ ...EMPTY, type: 'a"b', key: "k", channels: "c, d,", data });
  expect(body).toBe(
    '{"topic":"orders","type":"a\\"b","key":"k","to":{"channel":["c","d"]},"data":{"n": 9007199254740993}}',
  );
});

test("what is not JSON yet is told so", () => {
  for (const text of ["1", '"a"', "null", " {} "]) expect(checkJson(text)).toBeUndefined();
  for (const text of ["", " ", "{", "{a:1}", "'a'", '1,"x":2']) {
    expect(checkJson(text)).toStartWith("Not JSON yet: ");
  }
});

test("lists are split at commas", () => {
  expect(itemsOf(" a, b ,,c")).toEqual(["a", "b", "c"]);
  expect(itemsOf(" ")).toEqual([]);
});

test("the answer says where the event lies, and who gets it", () => {
  const events = [{ topic: "orders", partition: 2, offset: 41 }];
  expect(publishedText({ events, receivers: 1 })).toBe(
    "Stored at orders/2 @ 41; 1 stream of this instance reached",
  );
});
