import { expect, test } from "bun:test";
import { createMatcher, type Filter, isEmptyFilter, NO_FILTER } from "./filter.ts";
import { ReceivedEvent } from "./received-event.ts";

const order = new ReceivedEvent(1, {
  type: "order.created",
  id: "1~orders~a~1",
  data: '{"topic":"orders","partition":0,"offset":0,"ts":1,"key":"Customer-1","headers":{"type":"order.created"},"payload":{"city":"Zürich"}}',
});

const isShown = (filter: Partial<Filter>): boolean =>
  createMatcher({ ...NO_FILTER, ...filter })(order);

test("an empty filter shows everything", () => {
  expect(isShown({})).toBe(true);
  expect(isShown({ types: " , ", keys: " ", text: "  " })).toBe(true);
  expect(isEmptyFilter({ ...NO_FILTER, text: " " })).toBe(true);
  expect(isEmptyFilter({ ...NO_FILTER, keys: "a" })).toBe(false);
});

test("a topic is that topic", () => {
  expect(isShown({ topic: "orders" })).toBe(true);
  expect(isShown({ topic: "order" })).toBe(false);
});

test("types and keys are lists of names, and of prefixes with a star", () => {
  for (const types of ["order.created", "other, order.*", "*"])
    expect(isShown({ types })).toBe(true);
  for (const types of ["order", "order.created2", "*.created"]) {
    expect(isShown({ types })).toBe(false);
  }
  expect(isShown({ keys: "a,Customer-1" })).toBe(true);
  expect(isShown({ keys: "Customer-*" })).toBe(true);
  expect(isShown({ keys: "customer-1" })).toBe(false);
});

test("a text is looked for in payload, key, type and topic, whatever its case", () => {
  for (const text of ["zÜRICH", "customer-1", "CREATED", "ders", '"city":']) {
    expect(isShown({ text })).toBe(true);
  }
  // The envelope's own words are not what is looked for.
  for (const text of ["partition", "headers", "payload", "zurich"]) {
    expect(isShown({ text })).toBe(false);
  }
});

test("all parts of a filter hold together", () => {
  expect(isShown({ topic: "orders", types: "order.*", keys: "Cust*", text: "zür" })).toBe(true);
  expect(isShown({ topic: "orders", types: "order.*", keys: "Cust*", text: "bern" })).toBe(false);
});
