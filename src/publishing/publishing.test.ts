import { expect, test } from "bun:test";
import { HubBench } from "../../test/support/hub-bench.ts";
import { HeadgateError } from "../errors.ts";
import type { Coordinates } from "../log/publisher.ts";
import { createMetrics } from "../metrics.ts";
import { Publishing } from "./publishing.ts";

test("how long a publish took is noted under its end, and nothing of what was refused before it", async () => {
  using bench = new HubBench().attach();
  const metrics = createMetrics();
  const ends: (() => Promise<Coordinates[]>)[] = [
    async () => [],
    () => Promise.reject(new HeadgateError("publish-timeout", "Late")),
    () => Promise.reject(new HeadgateError("publish-queue-full", "Full")),
    () => Promise.reject(new HeadgateError("publish-failed", "Refused")),
    () => Promise.reject(new Error("Broken")),
  ];
  const publishing = new Publishing({
    publisher: {
      publish: () => ends.shift()?.() ?? Promise.resolve([]),
      isConnected: () => true,
      close: () => Promise.resolve(),
    },
    log: () => bench.log,
    streams: bench.hub,
    topics: ["a"],
    defaultTopic: "a",
    maxEventBytes: 10,
    metrics,
  });
  for (const value of ["v", "v", "v", "v", "v", "too large for it"]) {
    const record = { topic: "a", key: null, value: Buffer.from(value), headers: [] };
    await publishing.publish([record]).catch(() => undefined);
  }
  const { values } = await metrics.publishDuration.get();
  const noted = values.filter(({ metricName }) => metricName?.endsWith("_count"));
  expect(Object.fromEntries(noted.map(({ labels, value }) => [labels.result, value]))).toEqual({
    ok: 1,
    duplicate: 0,
    timeout: 1,
    "queue-full": 1,
    failed: 2,
  });
});
