import { beforeEach, expect, test } from "bun:test";
import { counts } from "../../test/support/counts.ts";
import { HeadgateError } from "../errors.ts";
import { EventLog } from "../log/event-log.ts";
import type { Coordinates, OutgoingRecord } from "../log/publisher.ts";
import { createMetrics, type Metrics } from "../metrics.ts";
import { digestOf, IdempotentPublishing, markRecords } from "./idempotent.ts";

const DIGEST = digestOf("publisher", "key");

let log: EventLog;
let metrics: Metrics;
/** What each call of `publish` ends with. */
let ends: PromiseWithResolvers<readonly Coordinates[]>[];
let publishing: IdempotentPublishing;

beforeEach(() => {
  log = new EventLog({ path: ":memory:", durable: false });
  log.append([{ kind: "topic", topic: "t", tag: "a", offsets: [0] }]);
  metrics = createMetrics();
  ends = [];
  publishing = new IdempotentPublishing({
    log: () => log,
    publish: () => {
      const end = Promise.withResolvers<readonly Coordinates[]>();
      ends.push(end);
      return end.promise;
    },
    waitMs: 1000,
    metrics,
  });
});

function records(digest = DIGEST, bytes = 1): OutgoingRecord[] {
  return markRecords([{ topic: "t", key: null, value: Buffer.alloc(bytes), headers: [] }], digest);
}

/** The feed brings a record back that Kafka has acknowledged. */
function bringBack(outgoing: readonly OutgoingRecord[], offset: number): Coordinates[] {
  const place = { topic: "t", partition: 0, offset };
  log.append(
    outgoing.map((record) => ({
      kind: "record",
      timestampMs: 1,
      timestampType: "create",
      ...record,
      ...place,
    })),
  );
  return [place];
}

async function refusal(call: Promise<unknown>): Promise<HeadgateError> {
  const error = await call.catch((reason: unknown) => reason);
  if (error instanceof HeadgateError) return error;
  throw new Error("Not refused");
}

test("D8 what comes while the same is under way is sent once, and ends with it as a duplicate", async () => {
  const calls = [1, 2, 3].map(() => publishing.publish(DIGEST, records()));
  expect(ends.length).toBe(1);
  const events = bringBack(records(), 0);
  ends[0]?.resolve(events);
  expect(await Promise.all(calls)).toEqual([
    { events, isDuplicate: false },
    { events, isDuplicate: true },
    { events, isDuplicate: true },
  ]);
  expect(await publishing.publish(DIGEST, records())).toEqual({ events, isDuplicate: true });
  expect(ends.length).toBe(1);
});

test("D8 what comes while the same is under way fails with it, and the next is tried again", async () => {
  const calls = [1, 2].map(() => refusal(publishing.publish(DIGEST, records())));
  const error = new HeadgateError("publish-timeout", "No answer", { mayBeStored: true });
  ends[0]?.reject(error);
  expect(await Promise.all(calls)).toEqual([error, error]);
  const again = publishing.publish(DIGEST, records());
  expect(ends.length).toBe(2);
  ends[1]?.resolve(bringBack(records(), 0));
  expect(await again).toMatchObject({ isDuplicate: false });
});

test("D9 what is under way with idempotency keys is bounded in bytes, repeats of one key too", async () => {
  const large = records(DIGEST, 1 << 20);
  const calls = Array.from({ length: 15 }, () => publishing.publish(DIGEST, large));
  expect(await refusal(publishing.publish(DIGEST, large))).toMatchObject({
    code: "publish-queue-full",
    details: { mayBeStored: true, retryAfterS: 1 },
  });
  const other = digestOf("publisher", "other");
  expect(await refusal(publishing.publish(other, records(other, 1 << 20)))).toMatchObject({
    details: { mayBeStored: false },
  });
  expect(await counts(metrics.published)).toEqual({ "queue-full": 2 });
  ends[0]?.resolve(bringBack(large, 0));
  await Promise.all(calls);
  const next = publishing.publish(other, records(other, 1 << 20));
  ends[1]?.resolve(bringBack(records(other), 1));
  expect(await next).toMatchObject({ isDuplicate: false });
});

test("D8 of two instances that were asked at once the one whose record lies first has made the event", async () => {
  const call = publishing.publish(DIGEST, records());
  bringBack(records(), 0);
  ends[0]?.resolve(bringBack(records(), 1));
  expect(await call).toEqual({
    events: [{ topic: "t", partition: 0, offset: 0 }],
    isDuplicate: true,
  });
});
