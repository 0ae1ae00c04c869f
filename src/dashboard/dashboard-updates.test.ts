import { afterEach, expect, test } from "bun:test";
import { createParser } from "eventsource-parser";
import { until } from "../../test/support/feed.ts";
import type { EndReason, Sink } from "../hub/subscriber.ts";
import { createLogger } from "../logger.ts";
import { createMetrics } from "../metrics.ts";
import { DashboardUpdates, type DashboardUpdatesOptions } from "./dashboard-updates.ts";
import type { Watcher } from "./watcher.ts";

/** A peer in memory that takes bytes, until it is told not to. */
class TestPeer implements Sink {
  text = "";
  isFull = false;
  ended: "end" | "drop" | undefined;
  readonly reasons: EndReason[] = [];

  write(bytes: Uint8Array): boolean {
    // All of it is taken, also where the peer pushes back.
    this.text += Buffer.from(bytes).toString();
    return !this.isFull;
  }

  end(): void {
    this.ended = "end";
  }

  drop(): void {
    this.ended = "drop";
  }

  /** Names and ids, in order. */
  get events(): string[] {
    const events: string[] = [];
    const parser = createParser({
      onEvent: ({ event = "", id }) => events.push(id === undefined ? event : `${event} ${id}`),
    });
    parser.feed(this.text);
    return events;
  }
}

const open = new Set<DashboardUpdates>();

afterEach(() => {
  for (const updates of open) updates[Symbol.dispose]();
  open.clear();
});

interface Made {
  readonly updates: DashboardUpdates;
  /** How many snapshots were asked for. */
  readonly asked: () => number;
  readonly view: (peer: TestPeer, expiresAtMs?: number) => Watcher;
}

function make(options: Partial<DashboardUpdatesOptions> = {}): Made {
  let asked = 0;
  const { snapshot = () => Promise.resolve(`{"n":${asked}}`), ...others } = options;
  const updates = new DashboardUpdates({
    logger: createLogger("silent"),
    metrics: createMetrics(),
    intervalMs: 20,
    heartbeatMs: 60_000,
    retryMs: 1000,
    maxAgeMs: 0,
    maxStallMs: 60_000,
    cleanupMs: 10,
    random: () => 0.5,
    ...others,
    snapshot: () => {
      asked += 1;
      return snapshot();
    },
  });
  open.add(updates);
  return {
    updates,
    asked: () => asked,
    view: (peer, expiresAtMs = Infinity) =>
      updates.open({ sink: peer, expiresAtMs, onEnded: (reason) => peer.reasons.push(reason) }),
  };
}

test("nothing is made while nobody looks, before the first and after the last", async () => {
  const { updates, asked, view } = make();
  await Bun.sleep(60);
  expect(asked()).toBe(0);
  const peer = new TestPeer();
  const watcher = view(peer);
  await until(() => asked() >= 3);
  updates.onGone(watcher);
  expect([updates.size, peer.reasons]).toEqual([0, ["client"]]);
  const before = asked();
  await Bun.sleep(60);
  // One may have been under way.
  expect(asked() - before).toBeLessThanOrEqual(1);
});

test("all that look get the same updates, of which each is made once", async () => {
  const { asked, view } = make();
  const peers = Array.from({ length: 50 }, () => new TestPeer());
  for (const peer of peers) view(peer);
  await until(() => peers[0]?.events.length === 3);
  expect(asked()).toBe(3);
  expect(new Set(peers.map(({ text }) => text)).size).toBe(1);
  expect(peers[0]?.text).toStartWith("retry: 1000\n\nid: 1\nevent: dashboard-update\ndata: {");
});

test("who comes gets the newest update, where it is younger than the interval, and else a new one", async () => {
  const { updates, asked, view } = make({ intervalMs: 200 });
  const [first, second, third] = [new TestPeer(), new TestPeer(), new TestPeer()];
  const watcher = view(first);
  await until(() => first.events.length === 1);
  const other = view(second);
  expect(second.events).toEqual(["dashboard-update 1"]);
  expect(asked()).toBe(1);
  updates.onGone(watcher);
  updates.onGone(other);
  await Bun.sleep(250);
  view(third);
  expect(third.events).toEqual([]);
  await until(() => third.events.length === 1);
  // The count goes on.
  expect(third.events).toEqual(["dashboard-update 2"]);
});

test("who pushes back skips updates, and gets the newest once it takes bytes again", async () => {
  const { updates, view } = make();
  const [slow, quick] = [new TestPeer(), new TestPeer()];
  const watcher = view(slow);
  view(quick);
  await until(() => slow.events.length === 1);
  slow.isFull = true;
  await until(() => quick.events.length === 5);
  // The one with which it pushed back, and no other.
  expect(slow.events).toHaveLength(2);
  slow.isFull = false;
  updates.onDrain(watcher);
  expect(slow.events).toHaveLength(3);
  expect(slow.events.at(-1)).toBe(quick.events.at(-1) ?? "");
  // It has the newest: the same is not sent twice.
  updates.onDrain(watcher);
  expect(slow.events).toHaveLength(3);
});

test("E1 who takes nothing for too long is cut, and counted", async () => {
  const metrics = createMetrics();
  const { updates, view } = make({ metrics, maxStallMs: 30 });
  const peer = new TestPeer();
  peer.isFull = true;
  view(peer);
  await until(() => peer.ended !== undefined);
  expect([peer.ended, peer.reasons, updates.size]).toEqual(["drop", ["stalled"], 0]);
  const { values } = await metrics.streamsClosed.get();
  expect(values.find(({ labels }) => labels.reason === "stalled")?.value).toBe(1);
});

test("streams get heartbeats where updates are rarer", async () => {
  const { view } = make({ intervalMs: 60_000, heartbeatMs: 20 });
  const [peer, blocked] = [new TestPeer(), new TestPeer()];
  blocked.isFull = true;
  view(peer);
  view(blocked);
  await until(() => peer.events.length >= 4);
  expect(new Set(peer.events)).toEqual(new Set(["dashboard-update 1", "heartbeat"]));
  expect(blocked.events).toEqual([]);
});

test("a snapshot that cannot be made is tried again when the next is due, and sends nothing", async () => {
  let isBroken = true;
  const { asked, view } = make({
    intervalMs: 40,
    snapshot: () => (isBroken ? Promise.reject(new Error("no")) : Promise.resolve("{}")),
  });
  const peer = new TestPeer();
  view(peer);
  const startedMs = performance.now();
  await until(() => asked() === 4);
  expect(performance.now() - startedMs).toBeGreaterThan(100);
  expect(peer.events).toEqual([]);
  isBroken = false;
  await until(() => peer.events.length > 0);
  expect(peer.events[0]).toBe("dashboard-update 1");
});

test("a snapshot that takes longer than the interval is waited for, and never made twice at once", async () => {
  let underWay = 0;
  let most = 0;
  const { view } = make({
    intervalMs: 5,
    snapshot: async () => {
      most = Math.max(most, (underWay += 1));
      await Bun.sleep(20);
      underWay -= 1;
      return "{}";
    },
  });
  const peer = new TestPeer();
  view(peer);
  await until(() => {
    view(new TestPeer());
    return peer.events.length >= 5;
  });
  expect(most).toBe(1);
});

test("C6 a stream ends when its token does, and is told not to come back with it", async () => {
  const { view } = make({ intervalMs: 60_000 });
  const peer = new TestPeer();
  view(peer, Date.now() + 30);
  await until(() => peer.ended !== undefined);
  expect(peer.text).toEndWith(
    'event: close\ndata: {"reason":"token-expired","reconnect":false}\n\n',
  );
  expect([peer.ended, peer.reasons]).toEqual(["end", ["token-expired"]]);
});

test("a stream ends at 80 to 100 % of its age", async () => {
  const { view } = make({ intervalMs: 60_000, maxAgeMs: 50 });
  const peer = new TestPeer();
  view(peer);
  await until(() => peer.ended !== undefined);
  expect(peer.text).toEndWith('event: close\ndata: {"reason":"max-age","reconnect":true}\n\n');
});

test("a drain closes every stream within the grace, cuts those that take nothing, and turns late ones away", async () => {
  const { updates, view } = make({ intervalMs: 60_000 });
  const peers = [new TestPeer(), new TestPeer()];
  const stalled = new TestPeer();
  stalled.isFull = true;
  for (const peer of [...peers, stalled]) view(peer);
  const startedMs = performance.now();
  const drained = updates.drain(100);
  const late = new TestPeer();
  view(late);
  await drained;
  expect(performance.now() - startedMs).toBeWithin(90, 2000);
  for (const peer of [...peers, late]) {
    expect(peer.ended).toBe("end");
    expect(peer.text).toEndWith('event: close\ndata: {"reason":"shutdown","reconnect":true}\n\n');
  }
  expect(stalled.ended).toBe("drop");
  expect(updates.size).toBe(0);
});

test("a drain of no stream is over at once", async () => {
  const { updates } = make();
  const startedMs = performance.now();
  await updates.drain(10_000);
  expect(performance.now() - startedMs).toBeLessThan(1000);
});
