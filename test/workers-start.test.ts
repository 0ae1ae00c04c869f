import { expect, setDefaultTimeout, test } from "bun:test";
import { createHeadgate } from "../src/headgate.ts";
import { isQuick } from "./support/effort.ts";
import { RawPeer } from "./support/peers.ts";
import { type Settings, spawnServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import {
  askWorker,
  childrenOf,
  isListening,
  isRunning,
  servedBy,
  startWorkers,
  twoOf,
} from "./support/workers.ts";

// Each server is three processes: on a busy machine they take their time.
setDefaultTimeout(30_000);

test.concurrent.skipIf(isQuick)(
  "a port that is taken ends the start with exit code 1 and what to do, and leaves nothing",
  async () => {
    using directory = temporaryDirectory();
    await using server = await startWorkers();
    await using alone = await startServer();
    const starts: readonly Settings[] = [
      { PORT: String(server.port), WORKERS: "2", DATA_DIR: directory.path },
      { PORT: String(server.port), WORKERS: "1" },
      { PORT: String(alone.port), WORKERS: "2", DATA_DIR: directory.path },
    ];
    for (const settings of starts) {
      await using refused = spawnServer(settings);
      // It waits for the end of all who write to its output: its workers too.
      expect(await refused.exited).toBe(1);
      expect(refused.stderr()).toInclude(`Cannot listen on 127.0.0.1:${settings["PORT"]}`);
      expect(refused.stderr()).toInclude("PORT");
      expect(refused.stderr()).not.toInclude("    at ");
    }
    expect((await askWorker(server, twoOf(server)[1], "/livez")).status).toBe(200);
  },
);

test.concurrent("G10 several workers without a folder to share are refused", async () => {
  await using refused = spawnServer({ WORKERS: "2", DATA_DIR: ":memory:" });
  expect(await refused.exited).toBe(1);
  expect(refused.stderr()).toInclude("WORKERS");
  expect(refused.stderr()).toInclude("DATA_DIR");
});

test.skipIf(isQuick)(
  "an application's server has workers too, counts over all of them, and leaves none when it stops",
  async () => {
    using directory = temporaryDirectory();
    const others = childrenOf(process.pid);
    const headgate = createHeadgate({
      workers: 2,
      port: 0,
      dataDir: directory.path,
      logLevel: "silent",
      shutdownGraceMs: 1000,
    });
    let lastId = "";
    for (const round of [0, 1]) {
      await headgate.start();
      await headgate.ready;
      const started = childrenOf(process.pid).filter((pid) => !others.includes(pid));
      expect(started).toHaveLength(2);
      const port = Number(new URL(headgate.url).port);
      const peers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => RawPeer.subscribe(port, `/events?userId=u${i % 5}`)),
      );
      for (const { stream } of peers) await stream.first("live");
      expect(new Set(servedBy(peers, started)).size).toBe(2);
      expect(await headgate.broadcast({ round })).toBe(20);
      expect(await headgate.sendToUser("u3", "you")).toBe(4);
      expect(await headgate.publish({ data: 1, to: { user: "nobody" } })).toMatchObject({
        published: 1,
        receivers: 0,
      });
      for (const { stream } of peers) await stream.recordsUpTo(1);
      const { total, activeUsers, connections } = await headgate.connections();
      expect({ total, activeUsers, listed: connections.length }).toEqual({
        total: 20,
        activeUsers: 5,
        listed: 20,
      });
      if (round === 1) {
        // The round before's: its one broadcast, what followed is for others, then this round's.
        await using resumed = await TestSubscriber.live(headgate.url, "/events", {
          lastEventId: lastId,
        });
        expect(resumed.records.map(({ data }) => data)).toEqual(['{"round":1}']);
      }
      lastId = peers[0]?.stream.records[0]?.id ?? "";
      await headgate.stop();
      for (const { stream } of peers) {
        await stream.ended();
        expect(stream.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
      }
      expect(started.filter(isRunning)).toEqual([]);
      expect(await isListening(port)).toBe(false);
    }
  },
);
