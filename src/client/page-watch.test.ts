import { expect, test } from "bun:test";
import { FakePage } from "../../test/support/fake-page.ts";
import { settled } from "../../test/support/manual-clock.ts";
import { StreamBench } from "../../test/support/stream-bench.ts";

test("a page that is shown, or has its network back, does not wait for the next attempt", async () => {
  using page = new FakePage();
  const bench = new StreamBench();
  await settled();
  page.hide();
  expect(bench.told).toEqual(["start"]);
  page.show();
  page.online();
  expect(bench.told).toEqual(["start", "retry", "retry"]);
  expect(bench.statusNames).toEqual([]);
});

test("a stream that pauses lets go while the page is hidden, and then goes on where it was", async () => {
  using page = new FakePage();
  const bench = new StreamBench({ pauseWhenHidden: true });
  await bench.open();
  page.hide();
  page.hide();
  page.online();
  expect(bench.told).toEqual(["start", "stop"]);
  expect(bench.statuses.at(-1)).toEqual({
    status: "reconnecting",
    detail: { why: { reason: "hidden", message: "The page is hidden" } },
  });
  page.show();
  page.online();
  expect(bench.told).toEqual(["start", "stop", "start", "retry"]);
  for (let flip = 0; flip < 3; flip += 1) {
    page.hide();
    page.show();
  }
  expect(bench.told.slice(4)).toEqual(["stop", "start", "stop", "start", "stop", "start"]);
  await bench.open();
  expect(bench.stream.status).toBe("open");
});

test("a page that is hidden from the start pauses from the start", async () => {
  using page = new FakePage("hidden");
  const bench = new StreamBench({ pauseWhenHidden: true, lastEventId: "p1" });
  await settled();
  expect(bench.told).toEqual(["start p1", "stop"]);
  page.show();
  expect(bench.told.at(-1)).toBe("start");
  const going = new StreamBench();
  page.hide();
  await settled();
  expect(going.told).toEqual(["start"]);
});

test("what has come before a pause is handed out while it lasts", async () => {
  using page = new FakePage();
  const ids: string[] = [];
  const bench = new StreamBench({ pauseWhenHidden: true, onEvent: ({ id }) => void ids.push(id) });
  await settled();
  void bench.sendAll("p1", "p2");
  page.hide();
  await settled();
  expect(ids).toEqual(["p1", "p2"]);
});

test("a stream that has ended no longer looks at the page", async () => {
  using page = new FakePage();
  const bench = new StreamBench({ pauseWhenHidden: true });
  await settled();
  expect(page.listeners).toBe(2);
  bench.stream.close();
  expect(page.listeners).toBe(0);
  page.hide();
  page.show();
  expect(bench.told).toEqual(["start", "stop"]);
  const failed = new StreamBench();
  await settled();
  await failed.giveUp();
  expect(page.listeners).toBe(0);
});

test("a listener that closes the stream as it begins leaves nothing behind", async () => {
  using page = new FakePage("hidden");
  const bench: StreamBench = new StreamBench({
    pauseWhenHidden: true,
    onStatus: () => bench.stream.close(),
  });
  await settled();
  page.show();
  expect(page.listeners).toBe(0);
  expect(bench.stream.status).toBe("closed");
  expect(bench.told.at(-1)).toBe("stop");
});
