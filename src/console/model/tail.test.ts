import { describe, expect, test } from "bun:test";
import { NO_FILTER } from "./filter.ts";
import { ReceivedEvent } from "./received-event.ts";
import { Tail } from "./tail.ts";

function event(number: number, type = "message", payload: unknown = number): ReceivedEvent {
  const envelope = { topic: "events", partition: 0, offset: number, ts: 1, key: null, payload };
  return new ReceivedEvent(number, {
    type,
    id: `1~events~a~${number}`,
    data: JSON.stringify(envelope),
  });
}

const shown = (tail: Tail): number[] =>
  Array.from({ length: tail.length }, (_, i) => tail.at(i)?.number ?? 0);

function filled(count: number, tail = new Tail()): Tail {
  for (let number = 1; number <= count; number += 1) {
    tail.add(event(number, number % 2 === 0 ? "even" : "odd"));
  }
  return tail;
}

describe("a tail", () => {
  test("shows the newest first, and lets the oldest go when it is full", () => {
    const tail = filled(5, new Tail({ maxEvents: 3, maxCharacters: 1e6 }));
    expect(shown(tail)).toEqual([5, 4, 3]);
    expect([tail.received, tail.dropped]).toEqual([5, 2]);
  });

  test("holds no more characters than it may, and one event whatever its size", () => {
    const tail = new Tail({ maxEvents: 100, maxCharacters: 1000 });
    for (let number = 1; number <= 20; number += 1) tail.add(event(number));
    expect(tail.length).toBeWithin(2, 20);
    tail.add(event(21, "large", "x".repeat(5000)));
    expect(shown(tail)).toEqual([21]);
    expect(tail.received).toBe(tail.dropped + 1);
  });

  test("stays within its limits for as long as it runs", () => {
    const tail = filled(10_000, new Tail({ maxEvents: 100, maxCharacters: 1e6 }));
    expect(shown(tail)).toEqual(Array.from({ length: 100 }, (_, i) => 10_000 - i));
    expect([tail.received, tail.dropped]).toEqual([10_000, 9900]);
  });

  test("shows what matches, of what is there and of what comes", () => {
    const tail = filled(4);
    tail.setFilter({ ...NO_FILTER, types: "even" });
    expect(shown(tail)).toEqual([4, 2]);
    tail.add(event(5, "odd"));
    tail.add(event(6, "even"));
    expect(shown(tail)).toEqual([6, 4, 2]);
    tail.setFilter(NO_FILTER);
    expect(shown(tail)).toEqual([6, 5, 4, 3, 2, 1]);
  });

  test("forgets what is let go where a filter is set, too", () => {
    const tail = new Tail({ maxEvents: 4, maxCharacters: 1e6 });
    tail.setFilter({ ...NO_FILTER, types: "even" });
    filled(10, tail);
    expect(shown(tail)).toEqual([10, 8]);
  });

  test("stands still while it is held, counts what matches, and shows it afterwards", () => {
    const tail = new Tail({ maxEvents: 4, maxCharacters: 1e6 });
    filled(4, tail);
    tail.setFilter({ ...NO_FILTER, types: "even" });
    tail.hold();
    for (let number = 5; number <= 12; number += 1) {
      tail.add(event(number, number % 2 === 0 ? "even" : "odd"));
    }
    expect(shown(tail)).toEqual([4, 2]);
    expect(tail.waiting).toBe(4);
    tail.release();
    expect(shown(tail)).toEqual([12, 10]);
    expect(tail.waiting).toBe(0);
  });

  test("is filtered while it is held, of what was there then", () => {
    const tail = filled(4);
    tail.hold();
    tail.add(event(5, "odd"));
    tail.setFilter({ ...NO_FILTER, types: "odd" });
    expect(shown(tail)).toEqual([3, 1]);
    expect(tail.waiting).toBe(1);
    tail.setFilter({ ...NO_FILTER, types: "even" });
    expect(tail.waiting).toBe(0);
  });

  test("finds where an event is shown, and where it is not", () => {
    const tail = filled(9);
    tail.setFilter({ ...NO_FILTER, types: "odd" });
    expect([9, 5, 1, 4, 10, 0].map((number) => tail.indexOf(number))).toEqual([
      0, 2, 4, -1, -1, -1,
    ]);
  });
});
