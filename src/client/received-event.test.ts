import { expect, spyOn, test } from "bun:test";
import { z } from "zod";
import { StreamBench } from "../../test/support/stream-bench.ts";
import type { InvalidEvent } from "./stream-options.ts";
import { receive } from "./received-event.ts";
import type { StandardSchema } from "./standard-schema.ts";
import type { Schemas, StreamEvent } from "./stream.ts";

const data = async (type: string, text: string, schemas?: Schemas): Promise<unknown> =>
  (await receive({ type, id: "p1", data: text }, schemas)).value?.data;

/** What is handed out of these frames, `type` and data, and what is told to be invalid. */
async function read(
  schemas: Schemas,
  frames: readonly (readonly [type: string, text: string])[],
): Promise<{ events: StreamEvent[]; invalid: InvalidEvent[]; bench: StreamBench }> {
  const events: StreamEvent[] = [];
  const invalid: InvalidEvent[] = [];
  const bench = new StreamBench({
    schemas,
    onEvent: (event) => void events.push(event),
    onInvalid: (each) => invalid.push(each),
  });
  let number = 0;
  for (const [type, text] of frames) await bench.send(`p${++number}`, type, text);
  return { events, invalid, bench };
}

function standardSchema(validate: StandardSchema["~standard"]["validate"]): StandardSchema {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

test("data is what the JSON says, or the text where it is none", async () => {
  for (const value of [null, false, 0, "", "text", [], { a: [1] }]) {
    expect(await data("message", JSON.stringify(value))).toEqual(value);
  }
  for (const text of ["", "{", "undefined", "NaN", " a ", "a\nb"]) {
    expect(await data("message", text)).toBe(text);
  }
});

test("base64 is no JSON, even where it looks like it", async () => {
  expect(await data("binary", "1234")).toBe("1234");
  expect(await data("binary", "true")).toBe("true");
});

test("numbers keep their digits in the text", async () => {
  const { value } = await receive(
    { type: "message", id: "p1", data: '{"n":9007199254740993}' },
    undefined,
  );
  expect(value?.text).toBe('{"n":9007199254740993}');
  // JSON.parse has no other number, and says so in the comment of `data`.
  expect(value?.data).toEqual({ n: 9_007_199_254_740_992 });
});

test("big numbers are numbers, and a __proto__ is a member like any other", async () => {
  const parsed = await data("message", '{"__proto__":{"polluted":1}}');
  expect(Object.hasOwn(parsed as object, "__proto__")).toBe(true);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("a schema that checks later is waited for: zod with what is asynchronous", async () => {
  const even = z.number().refine((n) => Promise.resolve(n % 2 === 0));
  const { events, invalid } = await read({ even }, [
    ["even", "1"],
    ["even", "2"],
  ]);
  expect([events.map((event) => event.data), invalid.map(({ id }) => id)]).toEqual([[2], ["p1"]]);
});

test("an event is what its schema makes of it", async () => {
  const { events, invalid, bench } = await read(
    { order: z.object({ at: z.coerce.date(), extra: z.string().default("none") }) },
    [["order", '{"at":"2026-01-01T00:00:00Z","more":1}']],
  );
  expect(bench.setup.types).toEqual(["order"]);
  expect(bench.setup.url).toEndWith("/events?types=order");
  expect(invalid).toEqual([]);
  expect(events).toEqual([
    {
      type: "order",
      id: "p1",
      text: '{"at":"2026-01-01T00:00:00Z","more":1}',
      data: { at: new Date("2026-01-01T00:00:00Z"), extra: "none" },
    },
  ]);
});

test("an event that does not fit is told, left out and passed over", async () => {
  const { events, invalid, bench } = await read({ n: z.number() }, [
    ["n", "1"],
    ["n", '"2"'],
    ["n", "no JSON"],
    ["n", "4"],
    ["other", '"5"'],
  ]);
  expect(events.map((event) => event.data)).toEqual([1, 4, "5"]);
  expect(invalid.map(({ type, id, text }) => [type, id, text])).toEqual([
    ["n", "p2", '"2"'],
    ["n", "p3", "no JSON"],
  ]);
  expect(invalid[0]?.issues[0]?.message).toInclude("number");
  expect(bench.stream.status).toBe("connecting");
  expect(bench.stream.lastEventId).toBe("p5");
});

test("a schema that throws is one that the event does not fit", async () => {
  const schemas = {
    json: z.string().transform((text): unknown => JSON.parse(text)),
    later: standardSchema(() => Promise.reject(new Error("late"))),
  };
  const { events, invalid, bench } = await read(schemas, [
    ["json", '"{"'],
    ["later", '"late"'],
    ["json", '"[1]"'],
  ]);
  expect(invalid.map(({ id }) => id)).toEqual(["p1", "p2"]);
  expect(invalid[1]?.issues).toEqual([{ message: "Error: late" }]);
  expect(events.map((event) => event.data)).toEqual([[1]]);
  expect(bench.stream.lastEventId).toBe("p3");
});

test("a schema may take its time: events keep their order", async () => {
  const waits: (() => void)[] = [];
  const slow = standardSchema(async (value) => {
    if (value === 1) await new Promise<void>((resolve) => waits.push(resolve));
    return { value };
  });
  const { events, bench } = await read({ n: slow }, [
    ["n", "1"],
    ["n", "2"],
  ]);
  expect(events).toEqual([]);
  waits[0]?.();
  await bench.send("p3", "n", "3");
  expect(events.map((event) => event.data)).toEqual([1, 2, 3]);
});

test("a stream that is closed while a schema takes its time hands out nothing more", async () => {
  const waits: (() => void)[] = [];
  const slow = standardSchema(async (value) => {
    await new Promise<void>((resolve) => waits.push(resolve));
    return { value };
  });
  const { events, bench } = await read({ n: slow }, [["n", "1"]]);
  bench.stream.close();
  waits[0]?.();
  await bench.send("p2", "n", "2");
  expect(events).toEqual([]);
  expect(bench.stream.lastEventId).toBeUndefined();
});

test("a type may be named as what every object has", async () => {
  const types = ["toString", "constructor", "hasOwnProperty", "__proto__", "valueOf"];
  const { events, invalid } = await read(
    { other: z.number() },
    types.map((type) => [type, "1"] as const),
  );
  expect(events.map(({ type }) => type)).toEqual(types);
  expect(invalid).toEqual([]);
  const strict = await read({ toString: z.string() }, [["toString", "1"]]);
  expect(strict.invalid.map(({ type }) => type)).toEqual(["toString"]);
});

test("without a listener there is a warning, and the payload is not in it", async () => {
  using warn = spyOn(console, "warn").mockImplementation(() => undefined);
  const bench = new StreamBench({ schemas: { n: z.number() }, onEvent: () => undefined });
  await bench.send("p1", "n", '"payload"');
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]).toMatchObject(["Headgate", { type: "n", id: "p1" }]);
  expect(JSON.stringify(warn.mock.calls)).not.toInclude("payload");
});
