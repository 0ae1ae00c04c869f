import { expect, test } from "bun:test";
import { HubBench } from "../../test/support/hub-bench.ts";

test("streams that are held until the server is ready are there, and behind by nothing", async () => {
  using bench = new HubBench();
  bench.append(0);
  const peer = bench.subscribe({ channels: new Set(["news"]) }, { since: "earliest" });
  expect(bench.hub.connections()).toMatchObject({
    total: 1,
    activeUsers: 0,
    connections: [{ clientId: "c", user: undefined, topics: ["a"], channels: ["news"], lag: 0 }],
  });
  bench.attach();
  await peer.until(() => peer.named("live").length === 1);
  expect(bench.hub.connections().connections).toMatchObject([{ lag: 0 }]);
});

test("a user is active once, however many streams it has, until the last of them ends", () => {
  using bench = new HubBench();
  const streams = ["ann", "ann", "bob", undefined].map((user) => bench.subscribe({}, {}, { user }));
  expect(bench.hub.connections()).toMatchObject({ total: 4, activeUsers: 2 });
  const left: (readonly [total: number, activeUsers: number])[] = [];
  for (const { subscriber } of streams) {
    if (subscriber) bench.hub.onGone(subscriber);
    const { total, activeUsers, connections } = bench.hub.connections();
    expect(connections).toHaveLength(total);
    left.push([total, activeUsers]);
  }
  expect(left).toEqual([
    [3, 2],
    [2, 1],
    [1, 0],
    [0, 0],
  ]);
});

test("E2 the lag is what came since a peer pushed back, and is gone when it has taken it", async () => {
  using bench = new HubBench().attach();
  bench.end = 0;
  const peer = bench.subscribe();
  await peer.until(() => peer.named("live").length === 1);
  peer.pushesBack = true;
  bench.append(0);
  await peer.until(() => peer.named("x").length === 1);
  const lag = (): number | undefined => bench.hub.connections().connections[0]?.lag;
  expect(lag()).toBe(0);
  for (let offset = 1; offset <= 7; offset += 1) bench.append(offset);
  expect(lag()).toBe(7);
  peer.pushesBack = false;
  if (peer.subscriber) bench.hub.onDrain(peer.subscriber);
  await peer.until(() => peer.named("x").length === 8);
  expect(lag()).toBe(0);
});

test("what goes to all who are live is activity of each of them, also once one is behind", async () => {
  using bench = new HubBench().attach();
  bench.end = 0;
  const peer = bench.subscribe();
  await peer.until(() => peer.named("live").length === 1);
  const activity = (): number =>
    bench.hub.connections().connections[0]?.lastActivity.getTime() ?? Number.NaN;
  const before = activity();
  // Dates are whole milliseconds: the event must be another one's.
  while (Date.now() <= before + 2) await new Promise((resolve) => setImmediate(resolve));
  bench.append(0);
  await peer.until(() => peer.named("x").length === 1);
  const after = activity();
  expect(after).toBeGreaterThan(before);
  peer.pushesBack = true;
  bench.append(1);
  await peer.until(() => peer.named("x").length === 2);
  bench.append(2);
  // The clocks of a day and of the process may differ by a rounding.
  expect(activity()).toBeGreaterThanOrEqual(after - 1);
});
