import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./support/feed.ts";
import { canMount, mountDisk } from "./support/disk.ts";
import { publish, spawnServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

const isSkipped = !canMount();

test.skipIf(isSkipped)(
  "a full disk refuses publishes and keeps streams; with room again all goes on, and nothing acknowledged is lost",
  async () => {
    using directory = temporaryDirectory();
    using _disk = mountDisk(directory.path, "4m");
    const ballast = join(directory.path, "ballast");
    writeFileSync(ballast, Buffer.alloc(1_500_000));
    const settings = { DATA_DIR: join(directory.path, "data"), SSE_HEARTBEAT_INTERVAL: "100" };
    await using server = await startServer(settings);
    await using subscriber = await TestSubscriber.live(server.url);
    const acknowledged: string[] = [];
    const send = async (text: string): Promise<Response> => {
      const response = await publish(server.url, { data: text.padEnd(60_000, ".") });
      if (response.status === 200) acknowledged.push(text);
      return response;
    };
    let refused: Response | undefined;
    for (let i = 0; i < 100 && !refused; i += 1) {
      const response = await send(`before-${i}`);
      if (response.status !== 200) refused = response;
    }
    expect(refused?.status).toBe(503);
    expect(refused?.headers.get("retry-after")).not.toBeNull();
    const problem = (await refused?.text()) ?? "";
    expect(JSON.parse(problem)).toMatchObject({ type: "/errors/log-full", mayBeStored: false });
    expect(problem).not.toInclude(directory.path);
    const ready = await fetch(`${server.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ status: "ready", degraded: ["disk"] });
    const beats = subscriber.named("heartbeat").length;
    await subscriber.until(() => subscriber.named("heartbeat").length > beats + 1);
    await using other = await TestSubscriber.live(server.url, "/events?since=earliest");
    expect(other.records).toHaveLength(acknowledged.length);

    rmSync(ballast);
    // The write-ahead log is copied back as soon as it can be, and may take the room first.
    await until(async () => (await send("after")).status === 200);
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ status: "ready" });
    await subscriber.recordsUpTo(acknowledged.length);
    server.kill("SIGKILL");
    await server.exited;

    await using again = await startServer(settings);
    await using all = await TestSubscriber.live(again.url, "/events?since=earliest");
    const stored = all.records.map(({ data }) => (JSON.parse(data) as string).replace(/\.+$/, ""));
    expect(stored).toEqual(acknowledged);
  },
);

test.skipIf(isSkipped)(
  "G11 a DATA_DIR on a read-only file system ends the start with exit code 1 and what to do",
  async () => {
    using directory = temporaryDirectory();
    using _disk = mountDisk(directory.path, "1m");
    expect(Bun.spawnSync(["mount", "-o", "remount,ro", directory.path]).exitCode).toBe(0);
    await using server = spawnServer({ DATA_DIR: directory.path });
    expect(await server.exited).toBe(1);
    expect(server.stderr()).toInclude(`DATA_DIR ${directory.path} cannot be written`);
    expect(server.stderr()).not.toInclude("    at ");
  },
);
