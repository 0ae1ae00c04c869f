import { expect, spyOn, test } from "bun:test";
import { settled } from "../../test/support/manual-clock.ts";
import { StreamBench } from "../../test/support/stream-bench.ts";
import { StreamError } from "./stream.ts";

/** Whether a promise has been settled by now. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void promise.finally(() => (isSettled = true)).catch(() => undefined);
  await settled();
  return !isSettled;
}

test("notices come in their places among the events, and none of them is an event", async () => {
  const seen: unknown[] = [];
  const bench = new StreamBench({
    onEvent: ({ data }) => void seen.push(data),
    onConnection: ({ clientId, resumed }) => seen.push(["connection", clientId, resumed]),
    onReset: ({ reason, topics, position }) => seen.push(["reset", reason, topics, position]),
    onSkipped: ({ offset }) => seen.push(["skipped", offset]),
    onLive: ({ replayed }) => seen.push(["live", replayed]),
  });
  await bench.open();
  void bench.send("p0", "connection", '{"clientId":"c","resumed":true,"topics":["t"]}');
  void bench.send("p1", "reset", '{"reason":"expired","topics":["t"],"position":"p1"}');
  void bench.sendAll("p2", "p3");
  void bench.send("p4", "skipped", '{"offset":7}');
  void bench.send("p5");
  void bench.send("p5", "live", '{"replayed":3}');
  void bench.send("p5", "heartbeat", "");
  await bench.send("p6");
  expect(seen).toEqual([
    ["connection", "c", true],
    ["reset", "expired", ["t"], "p1"],
    "p2",
    "p3",
    ["skipped", 7],
    "p5",
    ["live", 3],
    "p6",
  ]);
});

test("resets and what was skipped are warned of where nobody asks for them", async () => {
  using warn = spyOn(console, "warn").mockImplementation(() => undefined);
  const bench = new StreamBench({ onEvent: () => undefined });
  await bench.send("p1", "reset", '{"reason":"lagged"}');
  await bench.send("p1", "skipped", '{"offset":7}');
  await bench.send("p1", "live", '{"replayed":7}');
  expect(warn.mock.calls).toEqual([
    ["Headgate", { reason: "lagged" }],
    ["Headgate", { offset: 7 }],
  ]);
});

test("a notice that cannot be read is told as an empty one", async () => {
  const seen: unknown[] = [];
  const bench = new StreamBench({ onEvent: ignore, onLive: (notice) => seen.push(notice) });
  for (const data of ["", "{", "null"]) await bench.send("p1", "live", data);
  expect(seen).toEqual([{}, {}, {}]);
});

test("what a listener throws is left to the runtime, and the stream goes on", async () => {
  // Uncaught, it would be the test's own.
  const left: (() => void)[] = [];
  using queue = spyOn(globalThis, "queueMicrotask").mockImplementation((call) => left.push(call));
  const fail = (): never => {
    throw new Error("listener");
  };
  const seen: unknown[] = [];
  const bench = new StreamBench({
    onEvent: ({ id }) => void seen.push(id),
    onStatus: fail,
    onConnection: fail,
    onReset: fail,
  });
  await bench.open();
  await bench.send("p1", "connection", "{}");
  await bench.send("p2", "reset", "{}");
  await bench.send("p3");
  expect(seen).toEqual(["p3"]);
  expect(bench.stream.status).toBe("open");
  expect(queue).toHaveBeenCalledTimes(3);
  for (const call of left) expect(call).toThrow("listener");
});

test("one event is handed out at a time, and counts once it has been dealt with", async () => {
  const done: (() => void)[] = [];
  const seen: string[] = [];
  const bench = new StreamBench({
    lastEventId: "p0",
    onEvent: ({ id }) => {
      seen.push(id);
      return new Promise<void>((resolve) => done.push(resolve));
    },
  });
  await settled();
  expect(bench.told).toEqual(["start p0"]);
  expect(bench.stream.lastEventId).toBe("p0");
  await bench.sendAll("p1", "p2");
  await bench.send("p3", "heartbeat", "");
  expect([seen, bench.stream.lastEventId]).toEqual([["p1"], "p0"]);
  done[0]?.();
  await settled();
  expect([seen, bench.stream.lastEventId]).toEqual([["p1", "p2"], "p1"]);
  done[1]?.();
  await settled();
  expect([seen, bench.stream.lastEventId]).toEqual([["p1", "p2"], "p3"]);
});

test("a handler that fails ends the stream, before the event that it failed at", async () => {
  for (const fail of [
    (): never => {
      throw new Error("handler");
    },
    () => Promise.reject(new Error("handler")),
  ]) {
    const bench = new StreamBench({ onEvent: ({ id }) => (id === "p2" ? fail() : undefined) });
    await bench.open();
    await bench.sendAll("p1", "p2", "p3");
    expect(bench.statuses.at(-1)).toMatchObject({
      status: "error",
      detail: { why: { reason: "handler" } },
    });
    expect(bench.stream.lastEventId).toBe("p1");
    expect(bench.stream.error).toBeInstanceOf(StreamError);
    expect(String(bench.stream.error?.cause)).toBe("Error: handler");
    expect(bench.told.at(-1)).toBe("stop");
  }
});

test("in a loop, an event has been dealt with when the next one is asked for", async () => {
  const bench = new StreamBench();
  const events = bench.stream[Symbol.asyncIterator]();
  await bench.sendAll("p1", "p2");
  expect((await events.next()).value).toMatchObject({ id: "p1" });
  expect(bench.stream.lastEventId).toBeUndefined();
  expect((await events.next()).value).toMatchObject({ id: "p2" });
  expect(bench.stream.lastEventId).toBe("p1");
  const waiting = events.next();
  expect(await isPending(waiting)).toBe(true);
  expect(bench.stream.lastEventId).toBe("p2");
  await bench.send("p3");
  expect((await waiting).value).toMatchObject({ id: "p3" });
});

test("several values can be asked for at once", async () => {
  const bench = new StreamBench();
  const events = bench.stream[Symbol.asyncIterator]();
  const all = Promise.all([events.next(), events.next(), events.next()]);
  await bench.sendAll("p1", "p2", "p3");
  expect((await all).map(({ value }) => value?.id)).toEqual(["p1", "p2", "p3"]);
});

test("who leaves a loop closes the stream, and the event that it left at comes again", async () => {
  const leave = {
    break: async (bench: StreamBench): Promise<void> => {
      for await (const { id } of bench.stream) if (id === "p2") break;
    },
    throw: async (bench: StreamBench): Promise<void> => {
      const loop = async (): Promise<void> => {
        for await (const { id } of bench.stream) if (id === "p2") throw new Error("mine");
      };
      expect(await loop().catch(String)).toBe("Error: mine");
    },
  };
  for (const run of Object.values(leave)) {
    const bench = new StreamBench();
    void bench.sendAll("p1", "p2", "p3");
    await run(bench);
    expect(bench.statusNames).toEqual(["closed"]);
    expect(bench.stream.lastEventId).toBe("p1");
    expect(bench.stream.error).toBeUndefined();
    expect(bench.told.at(-1)).toBe("stop");
  }
});

test("a loop that is left while it waits for an event is left at once", async () => {
  const bench = new StreamBench();
  await bench.open();
  const events = bench.stream[Symbol.asyncIterator]();
  const waiting = events.next();
  const left = events.return?.();
  expect(await isPending(waiting)).toBe(false);
  expect(await waiting).toEqual({ value: undefined, done: true });
  expect(await left).toEqual({ value: undefined, done: true });
  expect(bench.stream.status).toBe("closed");
  expect(await events.next()).toEqual({ value: undefined, done: true });
});

test("a loop that is left before it began closes the stream as well", async () => {
  const bench = new StreamBench();
  await bench.stream[Symbol.asyncIterator]().return?.();
  expect(bench.stream.status).toBe("closed");
});

test("events can be taken once", async () => {
  const twice = new StreamBench();
  const first = twice.stream[Symbol.asyncIterator]().next();
  expect(await twice.stream[Symbol.asyncIterator]().next().catch(String)).toInclude("taken once");
  await twice.send("p1");
  expect((await first).value).toMatchObject({ id: "p1" });
  const both = new StreamBench({ onEvent: ignore });
  expect(await both.stream[Symbol.asyncIterator]().next().catch(String)).toInclude("taken once");
  expect([twice.stream.status, both.stream.status]).toEqual(["connecting", "connecting"]);
});

test("a loop gets what had come before the stream gave up, and then the error", async () => {
  const bench = new StreamBench();
  void bench.sendAll("p1", "p2");
  await bench.giveUp();
  expect(bench.stream.status).toBe("error");
  expect(bench.stream.error).toMatchObject({ reason: "refused", httpStatus: 403, message: "no" });
  const ids: string[] = [];
  const loop = async (): Promise<void> => {
    for await (const { id } of bench.stream) ids.push(id);
  };
  // Not a promise of an assertion: bun waits for those in a way of its own.
  expect(await loop().catch((error: unknown) => error)).toBe(bench.stream.error);
  expect(ids).toEqual(["p1", "p2"]);
  expect(bench.stream.lastEventId).toBe("p2");
  expect(bench.statusNames).toEqual(["error"]);
});

test("onEvent gets what had come before the stream gave up", async () => {
  const ids: string[] = [];
  const bench = new StreamBench({ onEvent: ({ id }) => void ids.push(id) });
  void bench.sendAll("p1", "p2");
  await bench.giveUp();
  expect(ids).toEqual(["p1", "p2"]);
});

test("a stream that is closed hands out nothing more, and ends its loop", async () => {
  const ids: string[] = [];
  const bench: StreamBench = new StreamBench({
    onEvent: ({ id }) => {
      ids.push(id);
      if (id === "p2") bench.stream.close();
    },
  });
  await bench.sendAll("p1", "p2", "p3");
  await bench.send("p4");
  await bench.open();
  await bench.giveUp();
  expect(ids).toEqual(["p1", "p2"]);
  expect(bench.statusNames).toEqual(["closed"]);
  expect(bench.stream.lastEventId).toBe("p2");
  const looped = new StreamBench();
  const waiting = looped.stream[Symbol.asyncIterator]().next();
  looped.stream.close();
  looped.stream.close();
  expect(await waiting).toEqual({ value: undefined, done: true });
  expect(looped.statusNames).toEqual(["closed"]);
});

test("a signal closes the stream, and is not held on to", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const added = spyOn(signal, "addEventListener");
  const removed = spyOn(signal, "removeEventListener");
  const bench = new StreamBench({ signal });
  await settled();
  controller.abort();
  expect(bench.statusNames).toEqual(["closed"]);
  const early = new StreamBench({ signal, lastEventId: "p1" });
  await settled();
  expect(early.statusNames).toEqual(["closed"]);
  expect(early.told).toEqual(["stop"]);
  expect(removed.mock.calls[0]).toEqual(added.mock.calls[0] as never);
});

test("a stream says how it stands: open once it is open, reconnecting until it is open again", async () => {
  const bench = new StreamBench();
  const { onState } = bench.setup;
  const why = { reason: "ended", message: "over" };
  onState({ name: "connecting" });
  onState({ name: "reconnecting", why, delayMs: 5, attempt: 1 });
  onState({ name: "connecting" });
  onState({ name: "open" });
  onState({ name: "reconnecting", why, delayMs: 7, attempt: 1 });
  onState({ name: "connecting" });
  onState({ name: "reconnecting", why, delayMs: 9, attempt: 2 });
  onState({ name: "error", why });
  expect(bench.statuses).toEqual([
    { status: "connecting", detail: {} },
    { status: "reconnecting", detail: { why, delayMs: 5, attempt: 1 } },
    { status: "open", detail: {} },
    { status: "reconnecting", detail: { why, delayMs: 7, attempt: 1 } },
    { status: "reconnecting", detail: { why, delayMs: 9, attempt: 2 } },
    { status: "error", detail: { why } },
  ]);
  bench.stream.retryNow();
  expect(bench.told.at(-1)).toBe("retry");
});

function ignore(): void {
  // It is of no matter here.
}
