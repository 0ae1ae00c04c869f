import { expect, setDefaultTimeout, test } from "bun:test";
import { HoppingReader } from "./end-to-end/hopping-reader.ts";
import { isQuick, runs } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { Numbers } from "./support/numbers.ts";
import { metric } from "./support/server.ts";
import { startWorkers } from "./support/workers.ts";

setDefaultTimeout(120_000);

const READERS = 10;
const KILLS = runs(8);

test.skipIf(isQuick)(
  "G2 whoever hops from worker to worker, while they are killed at random, gets every event once and in order",
  async () => {
    await using server = await startWorkers({ WORKERS: "3" });
    const producers = ["a", "b", "c"].map((producer) => {
      const data = (n: number): unknown => ({ topic: "events", partition: 0, producer, n });
      return new Numbers({ url: server.url, name: producer, data });
    });
    const readers = Array.from(
      { length: READERS },
      () => new HoppingReader({ urls: [server.url], random: Math.random, maxStayMs: 600 }),
    );
    const reading = Promise.all(readers.map((reader) => reader.run()));
    const sum = (): number => producers.reduce((all, { acknowledged }) => all + acknowledged, 0);
    const received = (): number[] => readers.map((reader) => reader.received);
    try {
      for (let kill = 0; kill < KILLS; kill += 1) {
        const [before, seen] = [sum(), received()];
        await until(() => sum() > before + 50 && received().every((n, i) => n > (seen[i] ?? 0)));
        const workers = server.workers();
        const killed = workers[Math.floor(Math.random() * workers.length)];
        if (killed !== undefined) process.kill(killed, "SIGKILL");
      }
      const counts = await Promise.all(producers.map((producer) => producer.end()));
      const total = counts.reduce((all, count) => all + count, 0);
      const describe = (): string => JSON.stringify([total, received()]);
      await until(() => received().every((count) => count >= total), { describe });
      expect(received()).toEqual(readers.map(() => total));
      expect(readers.flatMap(({ failures }) => failures)).toEqual([]);
      expect(readers.flatMap(({ resets }) => resets)).toEqual([]);
      await until(() => server.workers().length === 3);
      expect(await metric(server.url, "headgate_worker_restarts_total")).toBe(KILLS);
    } finally {
      for (const reader of readers) reader.stop();
      await Promise.all([reading, ...producers.map((producer) => producer.end())]);
    }
  },
);
