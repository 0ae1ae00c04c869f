import { expect, setDefaultTimeout, test } from "bun:test";
import { caddy, caddyAvailable } from "./support/caddy.ts";
import { haproxy, haproxyAvailable } from "./support/haproxy.ts";
import { nginxAvailable, oneNginx, twoNginx } from "./support/nginx.ts";
import { startBehind } from "./support/proxied-server.ts";
import { publish, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(120_000);

const isLong = process.env["CI"] !== undefined || process.env["LONG"] === "1";

/** Of 15 s each: more than the minute that all of them wait, as most proxies do. */
const HEARTBEATS = 5;

// Side by side: all of them only wait.
test.concurrent("G12 a quiet stream lives longer than any default idle timeout", async () => {
  await using server = await startServer({ SSE_HEARTBEAT_INTERVAL: "60000" });
  await using subscriber = await TestSubscriber.live(server.url);
  await expectStillOpen(subscriber, 12_500);
  await publish(server.url, { data: "still here" });
  expect((await subscriber.recordsUpTo(1))[0]?.data).toBe('"still here"');
});

test.concurrent.skipIf(!isLong)(
  "G12 a quiet stream lives longer than a minute",
  async () => {
    await using server = await startServer({ SSE_HEARTBEAT_INTERVAL: "120000" });
    await using subscriber = await TestSubscriber.live(server.url);
    await expectStillOpen(subscriber, 70_000);
    await publish(server.url, { data: "still here" });
    await subscriber.recordsUpTo(1);
  },
  90_000,
);

test.concurrent.skipIf(!isLong)(
  "G6 at the values of the files and the server a stream that is quiet for longer than a minute lives on",
  async () => {
    const proxies = [
      ...(nginxAvailable() ? [oneNginx, twoNginx] : []),
      ...(haproxyAvailable() ? [haproxy] : []),
      ...(caddyAvailable() ? [caddy] : []),
    ];
    expect(proxies).not.toBeEmpty();
    // Side by side: all of them only wait.
    await Promise.all(
      proxies.map(async (proxy) => {
        await using behind = await startBehind(proxy, { SSE_HEARTBEAT_INTERVAL: "15000" });
        await using old = await behind.client.live("/events", { http: "1.1" });
        await using stream = await behind.client.live("/events", { http: "2" });
        for (const each of [old, stream]) {
          const enough = (): boolean => each.named("heartbeat").length >= HEARTBEATS;
          await each.until(enough, { deadlineMs: 180_000 });
        }
        await publish(behind.server.url, { data: "still here" });
        for (const each of [old, stream]) {
          expect((await each.recordsUpTo(1))[0]?.data).toBe('"still here"');
        }
      }),
    );
  },
  // Caddy may have to be built.
  600_000,
);

/** Time passing is what is tested here. */
async function expectStillOpen(subscriber: TestSubscriber, ms: number): Promise<void> {
  const hasEnded = await subscriber.ended({ deadlineMs: ms }).then(
    () => true,
    () => false,
  );
  expect(hasEnded).toBe(false);
}
