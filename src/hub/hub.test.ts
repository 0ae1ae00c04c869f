import { expect, test } from "bun:test";
import { HubBench } from "../../test/support/hub-bench.ts";
import { createMetrics } from "../metrics.ts";

test("an event too large for one write reaches who was caught up just before it", async () => {
  using bench = new HubBench().attach();
  const peer = bench.subscribe();
  await peer.live();
  bench.append(0, { bytes: 100_000 });
  await peer.until(() => peer.named("x").length === 1);
  expect(Math.max(...peer.writes)).toBeLessThanOrEqual(65_536);
  bench.append(1);
  await peer.until(() => peer.named("x").length === 2);
});

test("who reads the same part of the log is given the same arrays, so that each is compressed once", async () => {
  using bench = new HubBench().attach();
  const peers = [bench.subscribe(), bench.subscribe(), bench.subscribe()];
  await Promise.all(peers.map((peer) => peer.live()));
  bench.append(0, { bytes: 100_000 });
  await Promise.all(peers.map((peer) => peer.until(() => peer.named("x").length === 1)));
  const late = [bench.subscribe({}, { recent: 1 }), bench.subscribe({}, { recent: 1 })];
  await Promise.all(late.map((peer) => peer.live()));
  for (const readers of [peers, late]) {
    const large = readers.map(({ arrays }) => arrays.filter((one) => one.byteLength > 1000));
    for (const arrays of large) expect(arrays.length).toBe(2);
    expect(new Set(large.flat()).size).toBe(2);
  }
});

test("an event for one user reaches a subscriber that was caught up just before it", async () => {
  using bench = new HubBench().attach();
  const peer = bench.subscribe({}, {}, { user: "alice" });
  const other = bench.subscribe({}, {}, { user: "bob" });
  await Promise.all([peer.live(), other.live()]);
  bench.append(0, { user: "alice" });
  bench.append(1);
  await other.until(() => other.named("x").length === 1);
  await peer.until(() => peer.named("x").length === 2);
  expect(other.named("x")[0]?.data).toStartWith("1");
});

test("who pushes back as soon as it is caught up gets the rest when it takes bytes again", async () => {
  using bench = new HubBench().attach();
  const peer = bench.subscribe();
  await peer.live();
  peer.pushesBack = true;
  bench.append(0);
  await peer.until(() => peer.named("x").length === 1);
  bench.append(1);
  bench.append(2);
  peer.pushesBack = false;
  if (peer.subscriber) bench.hub.onDrain(peer.subscriber);
  await peer.until(() => peer.named("x").length === 3);
});

test("E11 heartbeats of a filter that matches nothing carry the position as it moves", async () => {
  using bench = new HubBench({ heartbeatMs: 30 }).attach();
  const peer = bench.subscribe({ types: { exact: new Set(["never"]), prefixes: [] } });
  await peer.live();
  bench.append(0);
  bench.append(1);
  await peer.until(() => peer.named("heartbeat").some(({ id }) => id === "1~a~t~2"));
  expect(peer.named("x")).toEqual([]);
});

test("B8 a position beyond the log is held with heartbeats that carry it, while the source does not answer", async () => {
  using bench = new HubBench({ heartbeatMs: 30 }).attach();
  const lastEventId = "1~a~t~5";
  const peer = bench.subscribe({}, { lastEventId });
  await peer.until(() => peer.named("heartbeat").length >= 2);
  expect(peer.named("reset")).toEqual([]);
  expect(peer.named("connection")[0]?.id).toBeUndefined();
  expect(peer.named("heartbeat").map(({ id }) => id)).toContain(lastEventId);
});

test("B8 a position within the topic but beyond the log is held, and goes on without a gap or a repeat", async () => {
  using bench = new HubBench({ heartbeatMs: 30 }).attach();
  bench.end = 10;
  const peer = bench.subscribe({}, { lastEventId: "1~a~t~2" });
  await peer.until(() => peer.named("heartbeat").length >= 1);
  expect(peer.named("connection")[0]?.id).toBe("1~a~t~2");
  expect(peer.named("live")).toEqual([]);
  for (const offset of [0, 1, 2, 3]) bench.append(offset);
  await peer.live();
  expect(peer.named("x").map(({ data }) => data[0])).toEqual(["2", "3"]);
  expect(peer.named("heartbeat").every(({ id }) => id === "1~a~t~2")).toBe(true);
});

test("B8 a position is ahead only once the source has said so twice", async () => {
  using bench = new HubBench().attach(100);
  bench.end = 0;
  const startedMs = performance.now();
  const peer = bench.subscribe({}, { lastEventId: "1~a~t~5" });
  await peer.until(() => peer.named("reset").length > 0);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(100);
  expect(peer.named("reset")[0]).toMatchObject({ id: "1~a~t~0" });
  expect(JSON.parse(peer.named("reset")[0]?.data ?? "")).toMatchObject({ reason: "ahead" });
});

test("a subscriber that waits for the server to be ready is held, and its heartbeats claim no position", async () => {
  using bench = new HubBench({ heartbeatMs: 30 });
  bench.append(0);
  const peer = bench.subscribe({}, { since: "earliest" });
  await peer.until(
    () => peer.named("connection").length === 1 && peer.named("heartbeat").length > 0,
  );
  bench.attach();
  await peer.live();
  expect(peer.named("x")).toHaveLength(1);
  expect(peer.named("heartbeat")[0]?.id).toBeUndefined();
});

test("heartbeats claim no position before the start is decided, so that no reset can be missed", async () => {
  using bench = new HubBench({ heartbeatMs: 30 }).attach();
  bench.append(0);
  const answer = Promise.withResolvers<void>();
  bench.answered = answer.promise;
  const peer = bench.subscribe({}, { lastEventId: "not an id" });
  await peer.until(() => peer.named("heartbeat").length >= 2);
  bench.end = 1;
  answer.resolve();
  await peer.live();
  expect(peer.named("heartbeat")[0]?.id).toBeUndefined();
  expect(peer.events.find(({ id }) => id !== undefined)?.event).toBe("reset");
});

test("G1 a subscriber that comes in the middle of a drain is told, not cut at its end", async () => {
  using bench = new HubBench().attach();
  const early = bench.subscribe();
  await early.live();
  const drained = bench.hub.drain(200);
  const late = bench.subscribe();
  await drained;
  for (const peer of [early, late]) {
    expect(peer.events.at(-1)).toMatchObject({
      event: "close",
      data: '{"reason":"shutdown","reconnect":true}',
    });
    expect(peer.ending).toBe("end");
  }
});

test("G1 a drain ends a half-written event before it says close", async () => {
  using bench = new HubBench().attach();
  const peer = bench.subscribe();
  await peer.live();
  peer.pushesBack = true;
  bench.append(0, { bytes: 200_000 });
  await peer.until(() => peer.writes.includes(65_536));
  const drained = bench.hub.drain(3000);
  await new Promise(setImmediate);
  expect(peer.named("close")).toEqual([]);
  peer.pushesBack = false;
  // The peer takes the rest whenever it is asked to.
  const draining = setInterval(() => peer.subscriber && bench.hub.onDrain(peer.subscriber), 5);
  await drained;
  clearInterval(draining);
  expect(peer.events.map(({ event }) => event)).toEqual(["connection", "live", "x", "close"]);
  expect(peer.events.at(-1)?.id).toBe("1~a~t~1");
});

test("E1 who takes nothing for too long is dropped, and counted as stalled", async () => {
  const metrics = createMetrics();
  using bench = new HubBench({ metrics, maxStallMs: 50 }).attach();
  const peer = bench.subscribe();
  await peer.live();
  peer.pushesBack = true;
  bench.append(0);
  await peer.until(() => peer.ending === "drop");
  expect(bench.hub.size).toBe(0);
  expect(await metrics.registry.getSingleMetricAsString("sse_streams_closed_total")).toInclude(
    'reason="stalled"} 1',
  );
});

test("a stream ends at 80 to 100% of its greatest age, with close after a whole event", async () => {
  using bench = new HubBench({ maxAgeMs: 200 }).attach();
  const startedMs = performance.now();
  const peer = bench.subscribe();
  await peer.until(() => peer.ending === "end");
  expect(performance.now() - startedMs).toBeWithin(160, 320);
  expect(peer.events.at(-1)).toEqual({
    event: "close",
    data: '{"reason":"max-age","reconnect":true}',
    id: "1~a~t~0",
  });
});

test("receivers are counted once each, whatever names them", () => {
  using bench = new HubBench().attach();
  bench.subscribe();
  bench.subscribe({ channels: new Set(["news"]) }, {}, { user: "alice", clientId: "c1" });
  bench.subscribe({ types: { exact: new Set(["other"]), prefixes: [] } }, {}, { user: "alice" });
  const count = (headers: Record<string, string>): number =>
    bench.hub.receivers([
      {
        topic: "a",
        key: null,
        value: Buffer.from("x"),
        headers: Object.entries(headers).map(
          ([name, value]) => [name, Buffer.from(value)] as const,
        ),
      },
    ]);
  expect(count({})).toBe(2);
  expect(count({ type: "other" })).toBe(3);
  expect(count({ "headgate-user": "alice" })).toBe(1);
  expect(count({ "headgate-user": "alice", type: "other" })).toBe(2);
  expect(count({ "headgate-channel": "news", "headgate-client": "c1" })).toBe(1);
  expect(count({ "headgate-user": "nobody" })).toBe(0);
});

test("nothing comes before `connection`, however long the stream is held", async () => {
  using bench = new HubBench({ heartbeatMs: 40 });
  const peer = bench.subscribe();
  await peer.until(() => peer.named("heartbeat").length >= 2);
  expect(peer.events[0]?.event).toBe("connection");
});

test("resets are counted for each subscriber that gets one, at the start and while it is open", async () => {
  const metrics = createMetrics();
  using bench = new HubBench({ metrics }).attach();
  bench.append(0);
  const reader = bench.subscribe({}, { since: "earliest" });
  const live = [bench.subscribe(), bench.subscribe()];
  bench.subscribe({}, { lastEventId: "garbage" });
  reader.pushesBack = true;
  await Promise.all(live.map((peer) => peer.live()));
  bench.log.append([{ kind: "gap", topic: "a", partition: 0, next: 5 }]);
  await Promise.all(live.map((peer) => peer.until(() => peer.named("reset").length === 1)));
  reader.pushesBack = false;
  if (reader.subscriber) bench.hub.onDrain(reader.subscriber);
  await reader.until(() => reader.named("reset").length === 1);
  const counts = await metrics.registry.getSingleMetricAsString("sse_resets_total");
  expect(counts).toInclude('reason="malformed"} 1');
  expect(counts).toInclude('reason="lost"} 4');
});

test("F10 the same record at two offsets is two events", async () => {
  using bench = new HubBench().attach();
  const peer = bench.subscribe();
  await peer.live();
  bench.append(0);
  bench.log.append(
    bench.log.after(1, 1).map((entry) => ({
      kind: "record" as const,
      topic: "a",
      partition: 0,
      offset: 1,
      timestampMs: entry.timestampMs,
      timestampType: entry.timestampType,
      key: entry.key,
      value: entry.value,
      headers: entry.headers,
    })),
  );
  await peer.until(() => peer.named("x").length === 2);
  expect(peer.named("x").map(({ id }) => id)).toEqual(["1~a~t~1", "1~a~t~2"]);
  expect(peer.named("x")[0]?.data).toBe(peer.named("x")[1]?.data);
});

test("what arrives within SSE_FLUSH_INTERVAL leaves in one write", async () => {
  using bench = new HubBench({ flushMs: 100 }).attach();
  const peer = bench.subscribe();
  await peer.live();
  const writes = peer.writes.length;
  for (let offset = 0; offset < 5; offset += 1) {
    bench.append(offset);
    await new Promise(setImmediate);
  }
  expect(peer.named("x")).toHaveLength(0);
  await peer.until(() => peer.named("x").length === 5);
  expect(peer.writes).toHaveLength(writes + 1);
});

test("a stream that ends before its start is known has connection first and close last, without an id", async () => {
  using bench = new HubBench();
  const peer = bench.subscribe();
  if (peer.subscriber) bench.hub.close(peer.subscriber, "shutdown");
  await peer.until(() => peer.ending === "end");
  expect(peer.events.map(({ event, id }) => [event, id])).toEqual([
    ["connection", undefined],
    ["close", undefined],
  ]);
});
