import { expect, test } from "bun:test";
import { freePort } from "./support/kafka-node.ts";
import { publish, spawnServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { until } from "./support/feed.ts";

test("F1 D12 without any broker the server is up, says so, holds streams, and publishes time out unstored", async () => {
  const port = await freePort();
  await using server = spawnServer({
    PORT: String(port),
    KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
    PUBLISH_TIMEOUT: "500",
    SSE_HEARTBEAT_INTERVAL: "400",
  });
  const url = `http://127.0.0.1:${port}`;
  const get = (path: string): Promise<Response> =>
    fetch(`${url}${path}`, { signal: AbortSignal.timeout(2_000) });
  const isUp = (): Promise<boolean> =>
    get("/livez").then(
      ({ ok }) => ok,
      () => false,
    );
  await until(isUp, { describe: server.stderr });

  const ready = await get("/readyz");
  expect(ready.status).toBe(503);
  expect(await ready.json()).toEqual({ status: "unready", missing: [expect.any(String)] });
  expect(await (await get("/kafka/status")).json()).toMatchObject({
    mode: "kafka",
    producer: { connected: false },
    consumer: { connected: false, partitions: [] },
  });
  const early = await get("/events/recent");
  expect(early.status).toBe(503);
  expect(await early.text()).not.toInclude("127.0.0.1");

  const id = "1~events~abc~1.2.3";
  await using held = await TestSubscriber.open(url, "/events", { lastEventId: id });
  await held.until(() => held.named("heartbeat").length >= 2);
  // No id before it is known whether it can be honoured; then the one that was given.
  expect(held.events[0]).toMatchObject({ event: "connection", id: "" });
  expect(held.named("heartbeat").map((heartbeat) => heartbeat.id)).toContain(id);
  expect(held.named("reset")).toEqual([]);

  const response = await publish(url, { data: 1 });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("1");
  expect(await response.json()).toMatchObject({
    type: "/errors/publish-timeout",
    mayBeStored: false,
  });
});
