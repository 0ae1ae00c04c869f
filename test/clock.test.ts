import { afterEach, expect, setSystemTime, test } from "bun:test";
import { publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const HOUR_MS = 3_600_000;

afterEach(() => {
  setSystemTime();
});

test("G9 a clock that jumps by an hour, either way, disturbs no heartbeat, no stream and no event", async () => {
  await using server = await startLocalServer({
    SSE_HEARTBEAT_INTERVAL: "100",
    SSE_MAX_STALL: "1000",
  });
  await using subscriber = await TestSubscriber.live(server.url);
  const realMs = Date.now();
  for (const jumpMs of [HOUR_MS, -HOUR_MS, 25 * HOUR_MS]) {
    setSystemTime(new Date(realMs + jumpMs));
    const seen = subscriber.records.length;
    expect((await publish(server.url, { data: jumpMs })).status).toBe(200);
    const records = await subscriber.recordsUpTo(seen + 1);
    const beats = subscriber.named("heartbeat").length;
    await subscriber.until(() => subscriber.named("heartbeat").length >= beats + 4);
    const [first, , , fourth] = subscriber.named("heartbeat").slice(beats);
    // Neither a burst nor a silence; the first may have been read late.
    expect((fourth?.atMs ?? 0) - (first?.atMs ?? 0)).toBeWithin(150, 3000);
    await using resumed = await TestSubscriber.live(server.url, "/events", {
      lastEventId: records[0]?.id ?? "",
    });
    expect(resumed.records).toHaveLength(seen);
  }
  expect(subscriber.isEnded).toBe(false);
});
