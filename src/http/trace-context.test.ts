import { expect, test } from "bun:test";
import { shown } from "../../test/support/outgoing.ts";
import { withTraceContext } from "./trace-context.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";

/** The headers of a record that has these, after a request with those. */
function traced(
  request: Readonly<Record<string, string>>,
  own: readonly (readonly [string, string])[] = [],
): readonly (readonly [string, string])[] {
  const headers = own.map(([name, value]) => [name, Buffer.from(value)] as const);
  const record = { topic: "events", key: null, value: null, headers };
  return withTraceContext([record], new Headers(request)).flatMap((one) => shown(one).headers);
}

test("a request's trace is passed on in the headers of each record", () => {
  expect(traced({ traceparent: PARENT, tracestate: STATE }, [["a", "b"]])).toEqual([
    ["a", "b"],
    ["traceparent", PARENT],
    ["tracestate", STATE],
  ]);
  expect(traced({ traceparent: PARENT })).toEqual([["traceparent", PARENT]]);
  expect(traced({})).toEqual([]);
});

test("a trace of a later version that looks like the first is passed on", () => {
  const parent = PARENT.replace(/^00/, "cc");
  expect(traced({ traceparent: parent })).toEqual([["traceparent", parent]]);
});

test.each([["traceparent"], ["TraceParent"], ["TRACEPARENT"]])(
  "a record with its own %s keeps it, and gets no state of another's",
  (name) => {
    expect(traced({ traceparent: PARENT, tracestate: STATE }, [[name, "mine"]])).toEqual([
      [name, "mine"],
    ]);
  },
);

test("no header is written twice", () => {
  expect(traced({ traceparent: PARENT, tracestate: STATE }, [["Tracestate", "mine"]])).toEqual([
    ["Tracestate", "mine"],
    ["traceparent", PARENT],
  ]);
});

test.each([
  ["x"],
  [PARENT.toUpperCase()],
  [PARENT.slice(1)],
  [`${PARENT}-extra`],
  [`${PARENT}, ${PARENT}`],
  [PARENT.replace(/^00/, "ff")],
  [PARENT.replace(/-[0-9a-f]{32}-/, `-${"0".repeat(32)}-`)],
  [PARENT.replace(/-[0-9a-f]{16}-/, `-${"0".repeat(16)}-`)],
])("the traceparent %s is ignored, and the state with it", (traceparent) => {
  expect(traced({ traceparent, tracestate: STATE })).toEqual([]);
});

test.each([[""], ["a=\t1"], ["a=é"], ["a".repeat(513)]])(
  "the tracestate %j is ignored",
  (tracestate) => {
    expect(traced({ traceparent: PARENT, tracestate })).toEqual([["traceparent", PARENT]]);
  },
);

test("a tracestate of 512 characters is passed on", () => {
  const tracestate = "a".repeat(512);
  expect(traced({ traceparent: PARENT, tracestate })).toContainEqual(["tracestate", tracestate]);
});
