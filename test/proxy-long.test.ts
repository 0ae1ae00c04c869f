import { expect, test } from "bun:test";
import { caddy, caddyAvailable } from "./support/caddy.ts";
import { haproxy, haproxyAvailable } from "./support/haproxy.ts";
import { nginxAvailable, oneNginx, twoNginx } from "./support/nginx.ts";
import { startBehind } from "./support/proxied-server.ts";
import { publish } from "./support/server.ts";

const isLong = process.env["CI"] !== undefined || process.env["LONG"] === "1";

/** Of 15 s each: more than the minute that all of them wait, as most proxies do. */
const HEARTBEATS = 5;

test.skipIf(!isLong)(
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
