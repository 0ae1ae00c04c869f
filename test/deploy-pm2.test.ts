import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { until } from "./support/feed.ts";
import { freePort } from "./support/kafka-node.ts";
import { Pm2, pm2Available } from "./support/pm2.ts";
import { publish } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

// PM2 comes over the network when it is first asked for.
setDefaultTimeout(120_000);

const CONFIG = join(import.meta.dir, "../deploy/pm2/ecosystem.config.cjs");

test.skipIf(!pm2Available())(
  "G1 under PM2 streams are closed at a reload and at a stop, a killed server comes back, and nothing is lost",
  async () => {
    using data = temporaryDirectory();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    await using pm2 = await Pm2.install({
      PORT: String(port),
      DATA_DIR: data.path,
      SHUTDOWN_GRACE: "500",
    });
    const isReady = (): Promise<boolean> =>
      fetch(`${url}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      );
    await pm2.run("start", CONFIG);
    await until(isReady);

    await using first = await TestSubscriber.live(url);
    await publish(url, { data: "before" });
    await first.recordsUpTo(1);
    await pm2.run("reload", "headgate");
    await expectShutdown(first);
    await until(isReady);
    await publish(url, { data: "after a reload" });

    const { lastEventId } = first;
    await using second = await TestSubscriber.live(url, "/events", { lastEventId });
    expect((await second.recordsUpTo(1))[0]?.data).toBe('"after a reload"');
    const killed = await pm2.pid("headgate");
    process.kill(killed, "SIGKILL");
    await second.ended();
    await until(isReady);
    expect(await pm2.pid("headgate")).not.toBe(killed);
    await publish(url, { data: "after a crash" });

    const from = { lastEventId: second.lastEventId };
    await using third = await TestSubscriber.live(url, "/events", from);
    expect((await third.recordsUpTo(1)).map((event) => event.data)).toEqual(['"after a crash"']);
    await pm2.run("stop", "headgate");
    await expectShutdown(third);
    expect(await pm2.pid("headgate")).toBe(0);
    expect(await isReady()).toBe(false);
  },
);

async function expectShutdown(subscriber: TestSubscriber): Promise<void> {
  await subscriber.ended();
  const last = subscriber.events.at(-1);
  expect(last?.event).toBe("close");
  expect(last?.data).toInclude("shutdown");
}
