import { expect, test } from "bun:test";
import fc from "fast-check";
import { acceptsGzip, preferredType } from "./accept.ts";

const TYPES = ["text/event-stream", "application/x-ndjson"] as const;
const [SSE, NDJSON] = TYPES;

test.each([
  [null, undefined],
  ["", undefined],
  ["*/*", undefined],
  ["application/*", undefined],
  ["text/*;q=1", undefined],
  ["application/json", undefined],
  ["application/ndjson", undefined],
  ["application/x-ndjsonx", undefined],
  ["xapplication/x-ndjson", undefined],
  [NDJSON, NDJSON],
  ["Application/X-NDJSON", NDJSON],
  [` ${NDJSON} ; charset=utf-8`, NDJSON],
  [SSE, SSE],
  [`${SSE}, ${NDJSON}`, SSE],
  [`${NDJSON}, ${SSE}`, NDJSON],
  [`${NDJSON}, */*`, NDJSON],
  [`*/*, ${NDJSON};q=0.1`, NDJSON],
  [`${NDJSON};q=0`, undefined],
  [`${NDJSON};q=0, */*`, undefined],
  [`${NDJSON};q=0.000, ${SSE};q=0.001`, SSE],
  [`${NDJSON};q=0.4, ${SSE};q=0.5`, SSE],
  [`${SSE};q=0.4, ${NDJSON};q=0.5`, NDJSON],
  [`${SSE};q=0.5, ${NDJSON}`, NDJSON],
  [`${SSE}; Q=0.2, ${NDJSON}; q=0.3`, NDJSON],
  [`${NDJSON};level=1;q=0.2,${SSE};q=0.3`, SSE],
  [`${NDJSON};q=a`, undefined],
  [`${NDJSON};q=-1`, undefined],
])("of Accept %j the type is %j", (accept, expected) => {
  expect(preferredType(accept, TYPES)).toBe(expected);
});

test("an Accept of any length is read no further than its bound", () => {
  const long = `${"x/y, ".repeat(100_000)}${NDJSON}`;
  expect(preferredType(long, TYPES)).toBeUndefined();
  expect(preferredType(`${NDJSON}, ${long}`, TYPES)).toBe(NDJSON);
});

test("no text is anything but one of the types, or none", () => {
  const part = fc.oneof(
    fc.constantFrom(...TYPES, ",", ";", "q=", "0.5", "1", " ", "*/*", "="),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const found = preferredType(parts.join(""), TYPES);
      if (found !== undefined) expect(parts.join("").toLowerCase()).toInclude(found);
    }),
  );
});

test.each([
  [null, false],
  ["", false],
  ["identity", false],
  ["br", false],
  ["deflate, br, zstd", false],
  ["gzipped", false],
  ["gzip", true],
  ["GZip", true],
  ["x-gzip", true],
  ["*", true],
  ["gzip, deflate, br, zstd", true],
  ["br;q=1.0, gzip;q=0.001", true],
  ["gzip;q=0", false],
  ["gzip;q=0.000", false],
  ["gzip ; q=0", false],
  ["gzip;Q=0", false],
  ["gzip;q=0, *", false],
  ["*, gzip;q=0", false],
  ["gzip;q=0, x-gzip", false],
  ["x-gzip;q=0", false],
  ["*;q=0", false],
  ["*;q=0, gzip", true],
  ["identity;q=0, *", true],
  ["identity, gzip", true],
  ["identity;q=0.5, gzip;q=1", true],
  ["identity;q=1, gzip;q=0.5", false],
  ["identity, *;q=0.1", false],
  ["gzip;q=a", false],
  ["gzip;q=-1", false],
])("an Accept-Encoding of %j admits gzip: %j", (acceptEncoding, expected) => {
  expect(acceptsGzip(acceptEncoding)).toBe(expected);
});

test("an Accept-Encoding of any length is read no further than its bound", () => {
  const long = `${"br, ".repeat(100_000)}gzip`;
  expect(acceptsGzip(long)).toBe(false);
  expect(acceptsGzip(`gzip, ${long}`)).toBe(true);
});
