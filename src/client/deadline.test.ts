import { expect, test } from "bun:test";
import { pause, withDeadline } from "./deadline.ts";

/** A signal that says how many listen to it. */
function countedSignal(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let count = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    count += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    count -= 1;
    remove(...args);
  };
  return { controller, listeners: () => count };
}

test("a task that is done in time gives what it gives, and leaves no listener", async () => {
  const { controller, listeners } = countedSignal();
  expect(await withDeadline(1000, controller.signal, () => Promise.resolve(7))).toBe(7);
  expect(listeners()).toBe(0);
});

test("a task that takes too long is left, and told", async () => {
  let told: AbortSignal | undefined;
  const run = withDeadline(5, undefined, (signal) => {
    told = signal;
    return new Promise(() => undefined);
  });
  const error = await run.catch((reason: unknown) => reason);
  expect(String(error)).toContain("No answer within 5 ms");
  expect(told?.aborted).toBe(true);
});

test("a pause ends in time, at once when it is aborted, and leaves no listener", async () => {
  const { controller, listeners } = countedSignal();
  await pause(1, controller.signal);
  expect(listeners()).toBe(0);
  const long = pause(60_000, controller.signal);
  controller.abort();
  await long;
  expect(listeners()).toBe(0);
  await pause(60_000, controller.signal);
  expect(listeners()).toBe(0);
});
