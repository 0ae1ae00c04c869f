import { expect, test } from "bun:test";
import { createLogger } from "../logger.ts";
import type { FeederOffers } from "./contract.ts";
import { WorkerProcess } from "./worker-process.ts";

// The cast holds: a worker that is never started asks nothing.
const OFFERS = {} as unknown as FeederOffers;

test("G2 what is told to a worker that dies just then harms nobody", async () => {
  for (let round = 0; round < 5; round += 1) {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const worker = new WorkerProcess({
      worker: 1,
      logger: createLogger("silent"),
      offersTo: () => OFFERS,
      onEnded: () => resolve(),
    });
    const told = { count: 0 };
    const telling = setInterval(() => tell(), 0);
    const tell = (): void => {
      told.count += 1;
      worker.tell("changed", undefined);
    };
    await Bun.sleep(100);
    worker.kill();
    await ended;
    clearInterval(telling);
    expect(told.count).toBeGreaterThan(1);
    const answer = await worker.ask(() => worker.call("users", undefined), ["nobody"]);
    expect(answer).toEqual(["nobody"]);
    worker.tell("changed", undefined);
    await worker.end(100);
  }
});
