import { expect, test } from "bun:test";
import fc from "fast-check";
import { CONTEXT, errorOf, refusalOf, shown } from "../../test/support/outgoing.ts";
import { readNdjson } from "./ndjson.ts";

const values = (text: string): (string | null)[] =>
  readNdjson(text, CONTEXT).map((record) => shown(record).value);

test.each([
  ['{"data":1}', ["1"]],
  ['{"data":1}\n{"data":2}\n', ["1", "2"]],
  ['{"data":1}\r\n{"data":2}\r\n', ["1", "2"]],
  ['\n\r\n{"data":1}\n \t\r\n\n{"data":2}', ["1", "2"]],
  ['{"data":"\u2028\u0085"}\n', ['"\u2028\u0085"']],
])("%j is one event a line", (text, expected) => {
  expect(values(text)).toEqual(expected);
});

test.each([[""], ["\n"], ["\r\n \r\n\t"]])("D1 %j holds no event, and is refused", (text) => {
  expect(refusalOf(() => readNdjson(text, CONTEXT))).toEqual(["invalid-body", ""]);
});

test("A20 D6 any events come in their order, with their numbers as written", () => {
  const events = fc.array(fc.record({ data: fc.jsonValue(), big: fc.bigInt() }), { minLength: 1 });
  fc.assert(
    fc.property(events, fc.constantFrom("\n", "\r\n", "\n\n"), (given, end) => {
      const data = given.map(({ data: any, big }) => `[${JSON.stringify(any)},${big}]`);
      expect(values(data.map((text) => `{"data":${text}}${end}`).join(""))).toEqual(data);
    }),
  );
});

test("D6 one bad line refuses all; the pointer counts events, the message names the line", () => {
  const error = errorOf(() => readNdjson('{"data":1}\n\n{"data":1,"type":"close"}\n', CONTEXT));
  expect([error.code, error.details.pointer]).toEqual(["invalid-event", "/1/type"]);
  expect(error.message).toStartWith("Line 3: ");
});

test.each([
  ['{"data":1}\n{"data":', "/1", 2],
  ['\n{"data":1} {"data":2}', "/0", 2],
  ['{\n"data":1}', "/0", 1],
  ['[{"data":1}]', "/0", 1],
  ["1", "/0", 1],
  ['\u00A0\n{"data":1}', "/0", 1],
])("D1 %j is refused at %s, line %d", (text, pointer, line) => {
  const error = errorOf(() => readNdjson(text, CONTEXT));
  expect([error.code, error.details.pointer]).toEqual(["invalid-body", pointer]);
  expect(error.message).toStartWith(`Line ${line}`);
});

test("D2 a body of blank lines is read in bounded time", () => {
  const startedMs = performance.now();
  expect(values(`${" \r\n".repeat(400_000)}{"data":1}`)).toEqual(["1"]);
  expect(performance.now() - startedMs).toBeLessThan(2000);
});
