import { expect, spyOn, test } from "bun:test";
import { FakePage } from "../../test/support/fake-page.ts";
import { settled } from "../../test/support/manual-clock.ts";
import { RecordingStorage, StreamBench } from "../../test/support/stream-bench.ts";
import type { PositionStorage } from "./stream.ts";

const onEvent = (): void => undefined;

test("a stream goes on from the position that is kept, and from its own option where none is", async () => {
  for (const [kept, own, told] of [
    ["k1", "o1", "start k1"],
    ["k1", undefined, "start k1"],
    [null, "o1", "start o1"],
    [null, undefined, "start"],
  ] as const) {
    const storage = new RecordingStorage(kept);
    const bench = new StreamBench({ storage, lastEventId: own });
    await settled();
    expect(bench.told).toEqual([told]);
    expect(bench.stream.lastEventId).toBe(kept ?? own);
    expect(storage.written).toEqual([]);
  }
});

test("each subscription has a name of its own in the storage, and the same one each time", async () => {
  const keyOf = async (options: object): Promise<string> => {
    const storage = new RecordingStorage();
    void new StreamBench({ storage, ...options });
    await settled();
    return [...storage.keys].join();
  };
  expect(await keyOf({ topics: ["a"] })).toBe("headgate http://localhost:3000/events?topics=a");
  expect(await keyOf({ topics: ["b"] })).not.toBe(await keyOf({ topics: ["a"] }));
  expect(await keyOf({ types: ["x"], topics: ["a"] })).toBe(
    await keyOf({ topics: ["a"], types: ["x"] }),
  );
  expect(await keyOf({ topics: ["a"], storageKey: "mine" })).toBe("mine");
  // A token may change while the stream is the same; and it is nobody else's business.
  expect(await keyOf({ token: "to-ken" })).not.toInclude("to-ken");
});

test("it is written at most once a second, whatever comes", async () => {
  const storage = new RecordingStorage();
  const bench = new StreamBench({ storage, onEvent });
  await settled();
  for (let n = 0; n < 40; n += 1) {
    await bench.send(`p${n}`);
    await bench.clock.pass(100);
  }
  expect(storage.written).toEqual(["p9", "p19", "p29", "p39"]);
  await bench.clock.pass(10_000);
  expect(storage.written).toHaveLength(4);
});

test("only what was dealt with is written", async () => {
  const storage = new RecordingStorage();
  const done: (() => void)[] = [];
  const bench = new StreamBench({
    storage,
    onEvent: () => new Promise<void>((resolve) => done.push(resolve)),
  });
  await bench.sendAll("p1", "p2");
  await bench.clock.pass(5000);
  expect(storage.written).toEqual([]);
  done[0]?.();
  await bench.clock.pass(1000);
  expect(storage.written).toEqual(["p1"]);
});

test("it is written at once when the stream ends, or the page is hidden", async () => {
  using page = new FakePage();
  const storage = new RecordingStorage();
  const bench = new StreamBench({ storage, onEvent });
  await bench.send("p1");
  page.hide();
  expect(storage.written).toEqual(["p1"]);
  page.show();
  page.hide();
  expect(storage.written).toEqual(["p1"]);
  await bench.send("p2");
  bench.stream.close();
  expect(storage.written).toEqual(["p1", "p2"]);
  const failing = new RecordingStorage();
  const failed = new StreamBench({ storage: failing, onEvent });
  await failed.send("p1");
  await failed.giveUp();
  expect(failing.written).toEqual(["p1"]);
});

test("an event that closes the stream is written when it has been dealt with, at once", async () => {
  const storage = new RecordingStorage();
  const bench: StreamBench = new StreamBench({
    storage,
    onEvent: ({ id }) => (id === "p2" ? bench.stream.close() : undefined),
  });
  await bench.sendAll("p1", "p2", "p3");
  expect(storage.written).toEqual(["p1", "p2"]);
});

test("what a stream that has given up had left is written in its time", async () => {
  const storage = new RecordingStorage();
  const done: (() => void)[] = [];
  const bench = new StreamBench({
    storage,
    onEvent: () => new Promise<void>((resolve) => done.push(resolve)),
  });
  void bench.sendAll("p1", "p2");
  await bench.giveUp();
  for (const id of ["p1", "p2"]) {
    done.shift()?.();
    await settled();
    await bench.clock.pass(1000);
    expect(storage.written.at(-1)).toBe(id);
  }
});

test("a storage that fails is warned of and done without", async () => {
  using warn = spyOn(console, "warn").mockImplementation(() => undefined);
  const broken: Record<string, PositionStorage> = {
    throws: {
      getItem: () => {
        throw new Error("denied");
      },
      setItem: () => {
        throw new Error("full");
      },
    },
    rejects: {
      getItem: () => Promise.reject(new Error("denied")),
      setItem: () => Promise.reject(new Error("full")),
    },
  };
  for (const [name, storage] of Object.entries(broken)) {
    warn.mockClear();
    const bench = new StreamBench({ storage, onEvent, lastEventId: "o1" });
    await settled();
    expect(bench.told, name).toEqual(["start o1"]);
    await bench.send("p1");
    await bench.clock.pass(1000);
    await bench.send("p2");
    bench.stream.close();
    await settled();
    expect(bench.stream.lastEventId).toBe("p2");
    expect(warn.mock.calls.map(([, error]) => String(error))).toEqual([
      "Error: denied",
      "Error: full",
      "Error: full",
    ]);
  }
});

/** A storage that answers when a test says so. */
function slowStorage(): { storage: PositionStorage; answer: (id: string | null) => Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  return {
    storage: { getItem: () => promise, setItem: () => Promise.resolve() },
    answer: (id) => {
      resolve(id);
      return settled();
    },
  };
}

test("nothing is opened before the position has been read", async () => {
  const { storage, answer } = slowStorage();
  const bench = new StreamBench({ storage, onEvent });
  bench.stream.retryNow();
  await settled();
  expect(bench.told).not.toContain("start");
  await answer("k1");
  expect(bench.told.at(-1)).toBe("start k1");
});

test("a stream that is closed while the position is read stays closed", async () => {
  const { storage, answer } = slowStorage();
  const bench = new StreamBench({ storage, onEvent });
  bench.stream.close();
  await answer("k1");
  expect(bench.told).toEqual(["stop"]);
  expect(bench.statusNames).toEqual(["closed"]);
  expect(bench.stream.lastEventId).toBeUndefined();
});

test("a page that comes and goes while the position is read changes nothing about where it begins", async () => {
  for (const [ends, told] of [
    ["visible", "start k1"],
    ["hidden", "start k1,stop"],
  ] as const) {
    using page = new FakePage();
    const { storage, answer } = slowStorage();
    const bench = new StreamBench({ storage, onEvent, pauseWhenHidden: true });
    await settled();
    page.hide();
    page.show();
    if (ends === "hidden") page.hide();
    page.online();
    expect(bench.told).toEqual([]);
    await answer("k1");
    expect(bench.told.join()).toEqual(told);
    page.show();
    expect(bench.told.at(-1)).toBe(ends === "hidden" ? "start" : "retry");
  }
});
