import { expect, expectTypeOf, spyOn, test } from "bun:test";
import type { StreamEvent } from "../client/stream.ts";
import { type EventNamed, hand, Handlers } from "./handlers.ts";

const EVENT: StreamEvent = { type: "order.created", data: 1, text: "1", id: "1" };

test("a handler gets events of its type, of types that begin so, or all", () => {
  const handlers = new Handlers();
  const got: string[] = [];
  for (const type of [
    "order.created",
    "order.*",
    "*",
    "order",
    "payment:*",
    "order.created.late",
  ]) {
    handlers.add(type, () => void got.push(type));
  }
  void hand(EVENT, handlers.of(EVENT.type));
  expect(got).toEqual(["order.created", "order.*", "*"]);
});

test("one that is taken away in the middle of an event does not get it, one that is added gets the next", () => {
  const handlers = new Handlers();
  const got: string[] = [];
  handlers.add("*", () => {
    removeSecond();
    handlers.add("*", () => void got.push("added"));
  });
  const removeSecond = handlers.add("*", () => void got.push("second"));
  void hand(EVENT, handlers.of(EVENT.type));
  expect(got).toEqual([]);
  void hand(EVENT, handlers.of(EVENT.type));
  expect(got).toEqual(["added"]);
});

test("two who subscribe with one function are two; one who adds it twice is one", () => {
  const handlers = new Handlers();
  let count = 0;
  const handler = (): void => void (count += 1);
  const removeFirst = handlers.add("*", handler);
  handlers.add("*", handler);
  removeFirst();
  removeFirst();
  void hand(EVENT, handlers.of(EVENT.type));
  expect(count).toBe(1);
  handlers.addOnce("*", handler);
  void hand(EVENT, handlers.of(EVENT.type));
  expect(count).toBe(2);
  handlers.remove("*", handler);
  expect(handlers.of(EVENT.type)).toEqual([]);
});

test("what one throws is reported, and the others get the event; slow ones are waited for", async () => {
  const reported = spyOn(globalThis, "queueMicrotask").mockImplementation(() => undefined);
  const got: string[] = [];
  const wait = hand(EVENT, [
    () => {
      throw new Error("at once");
    },
    () => Promise.reject(new Error("later")),
    async () => {
      await Bun.sleep(1);
      got.push("slow");
    },
    undefined,
    () => got.push("quick"),
  ]);
  expect(got).toEqual(["quick"]);
  await wait;
  expect(got).toEqual(["quick", "slow"]);
  const errors = reported.mock.calls.map(([throws]) => throws);
  reported.mockRestore();
  expect(errors).toHaveLength(2);
  expect(() => errors[0]?.()).toThrow("at once");
  expect(() => errors[1]?.()).toThrow("later");
});

test("with schemas the data of a named type is that type's", () => {
  type Order = StreamEvent<"order.created", { total: number }>;
  type Payment = StreamEvent<"payment:failed", string>;
  expectTypeOf<EventNamed<Order | Payment, "order.created">>().toEqualTypeOf<Order>();
  expectTypeOf<EventNamed<Order | Payment, "*">>().toEqualTypeOf<Order | Payment>();
  expectTypeOf<EventNamed<StreamEvent, "order.created">>().toEqualTypeOf<StreamEvent>();
});
