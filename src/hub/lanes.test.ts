import { expect, test } from "bun:test";
import fc from "fast-check";
import { HubBench } from "../../test/support/hub-bench.ts";
import { runs } from "../../test/support/effort.ts";
import { createMetrics } from "../metrics.ts";
import { LaneChoice } from "./lanes.ts";

test("lanes are taken up one after the other as subscribers come, and evenly", () => {
  const choice = new LaneChoice(2);
  const lanes = Array.from({ length: 32 }, () => choice.enter());
  expect(lanes.slice(0, 3)).toEqual([0, 0, 1]);
  const sizes = [0, 1, 2, 3, 4, 5, 6, 7].map(
    (lane) => lanes.filter((each) => each === lane).length,
  );
  expect(sizes).toEqual([4, 4, 4, 4, 4, 4, 4, 4]);
  choice.leave(5);
  expect(choice.enter()).toBe(5);
});

test("between two lanes the loop takes what has come, and the next lanes write it at once", async () => {
  using bench = new HubBench({ laneFill: 1 }).attach();
  const peers = [bench.subscribe(), bench.subscribe(), bench.subscribe(), bench.subscribe()];
  for (const peer of peers) await peer.live();
  const writes = peers.map((peer) => peer.writes.length);
  bench.append(0);
  // Comes while the first lane's turn is over and the others' are not.
  await peers[0]?.until(() => peers[0]?.named("x").length === 1);
  bench.append(1);
  for (const peer of peers) await peer.until(() => peer.named("x").length === 2);
  const ofEach = peers.map((peer, i) => peer.writes.length - (writes[i] ?? 0));
  expect(ofEach).toEqual([2, 1, 1, 1]);
});

test("what concerns a record is counted once, however many lanes there are", async () => {
  const metrics = createMetrics();
  using bench = new HubBench({ laneFill: 1, metrics }).attach();
  const peers = Array.from({ length: 6 }, () => bench.subscribe());
  for (const peer of peers) await peer.live();
  bench.append(0, { type: "no\nline" });
  bench.append(1);
  for (const peer of peers) await peer.until(() => peer.named("x").length === 1);
  const text = await metrics.registry.metrics();
  expect(text).toInclude("headgate_types_left_out_total 1\n");
  expect(text).toInclude("sse_events_sent_total 12\n");
});

test("whatever happens, each subscriber of each lane gets every event of its own once, in order", async () => {
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("large" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("user" as const), of: fc.nat(7) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("push back" as const), of: fc.nat(7) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("take" as const), of: fc.nat(7) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("come" as const), since: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("turn" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      using bench = new HubBench({ laneFill: 1 }).attach();
      const all: { offset: number; user: string | undefined }[] = [];
      const append = (bytes?: number, user?: string): void => {
        const offset = all.length;
        all.push({ offset, user });
        bench.append(offset, { ...(bytes !== undefined && { bytes }), ...(user && { user }) });
      };
      const peers: { peer: ReturnType<HubBench["subscribe"]>; from: number; user: string }[] = [];
      const come = async (since: boolean): Promise<void> => {
        const user = `u${peers.length}`;
        const from = since ? 0 : all.length;
        const start = since ? { since: "earliest" as const } : { lastEventId: `1~a~t~${from}` };
        const peer = bench.subscribe({}, start, { user });
        peers.push({ peer, from, user });
      };
      for (let i = 0; i < 6; i += 1) await come(false);
      for (const { peer } of peers) await peer.live();
      for (const each of actions) {
        const target = "of" in each ? peers[each.of] : undefined;
        if (each.do === "append") for (let i = 0; i <= each.count; i += 1) append();
        if (each.do === "large") append(90_000);
        if (each.do === "user" && target) append(undefined, target.user);
        if (each.do === "push back" && target) target.peer.pushesBack = true;
        if (each.do === "take" && target) takeAgain(bench, target.peer);
        if (each.do === "come" && peers.length < 12) await come(each.since);
        if (each.do === "turn") await new Promise(setImmediate);
      }
      append();
      for (const { peer, from, user } of peers) {
        takeAgain(bench, peer);
        const due = all
          .filter((event) => event.offset >= from)
          .filter((event) => event.user === undefined || event.user === user)
          .map(({ offset }) => offset);
        await peer.until(() => peer.named("x").length >= due.length);
        const got = peer.named("x").map(({ data }) => Number.parseInt(data, 10));
        expect(got).toEqual(due);
        // An id never claims what was not sent, and grows.
        const ids = peer.named("x").map(({ id }) => Number(id?.split("~").at(-1)));
        expect(ids.every((id, i) => id > (due[i] ?? 0))).toBe(true);
        expect(ids).toEqual(ids.toSorted((a, b) => a - b));
      }
    }),
    { numRuns: runs(300) },
  );
});

function takeAgain(bench: HubBench, peer: ReturnType<HubBench["subscribe"]>): void {
  if (!peer.pushesBack) return;
  peer.pushesBack = false;
  if (peer.subscriber) bench.hub.onDrain(peer.subscriber);
}
