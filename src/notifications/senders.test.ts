import { expect, test } from "bun:test";
import { HeadgateError } from "../errors.ts";
import type { NotificationEvent } from "./notification.ts";
import { createNotificationSenders } from "./senders.ts";

const published: NotificationEvent[] = [];
const senders = createNotificationSenders((event) => {
  published.push(event);
  return Promise.resolve({ receivers: published.length });
});

/** Where a notification is refused. */
async function refusal(sent: Promise<unknown>): Promise<string | undefined> {
  const error = await sent.catch((reason: unknown) => reason);
  if (error instanceof HeadgateError && error.code === "invalid-body") return error.details.pointer;
  throw new Error(`Not refused: ${String(error)}`);
}

test("every kind has a sender, named after it", () => {
  expect(Object.keys(senders)).toEqual([
    "sendPaymentNotification",
    "sendUserAccountNotification",
    "sendSystemHealthNotification",
    "sendVideoProcessingNotification",
    "sendDataExportNotification",
    "sendPostUpdateNotification",
    "sendProfileUpdateNotification",
    "sendJobNotification",
  ]);
});

test("a sender publishes the event, and resolves with what publishing does", async () => {
  published.length = 0;
  const { receivers } = await senders.sendVideoProcessingNotification(
    "v-1",
    "completed",
    { title: "Harbour", duration: 90, studio: "north" },
    "channel",
    "videos",
    { trace: "t-1" },
  );
  expect(receivers).toBe(1);
  expect(published).toEqual([
    {
      type: "video-processing:completed",
      key: "v-1",
      data: {
        videoId: "v-1",
        status: "completed",
        title: "Harbour",
        duration: 90,
        studio: "north",
        timestamp: expect.any(String),
      },
      headers: { trace: "t-1" },
      to: { channel: "videos" },
    },
  ]);
});

test("what the types refuse is refused at run time too, and nothing is published", async () => {
  published.length = 0;
  // @ts-expect-error: no status of a payment
  expect(await refusal(senders.sendPaymentNotification("p", "lost", {}, "all"))).toBe("/status");
  // @ts-expect-error: an amount is a number
  const text = senders.sendPaymentNotification("p", "failed", { amount: "1" }, "all");
  expect(await refusal(text)).toBe("/details/amount");
  // @ts-expect-error: no target
  const everyone = senders.sendJobNotification("j", "failed", {}, "everyone");
  expect(await refusal(everyone)).toBe("/target");
  // @ts-expect-error: metadata are texts
  const numbers = senders.sendJobNotification("j", "failed", {}, "user", "u", { n: 1 });
  expect(await refusal(numbers)).toBe("/metadata/n");
  // @ts-expect-error: no kind of its own
  expect(senders.sendRefundNotification).toBeUndefined();
  expect(published).toEqual([]);
});

test("without its target's id a notification is not published", async () => {
  published.length = 0;
  const sent = senders.sendDataExportNotification("e1", "queued", { format: "csv" }, "user");
  expect(await refusal(sent)).toBe("/targetId");
  expect(published).toEqual([]);
});

test("values of code are taken as JSON has them, at the time of the call", async () => {
  published.length = 0;
  const at = new Date();
  const given = { at, left: undefined, list: [1] };
  const sent = senders.sendJobNotification("j", "queued", given, "all");
  given.list.push(2);
  await sent;
  const speaking = { toJSON: () => ({ job: "other", status: "failed", more: 1 }) };
  await senders.sendJobNotification("j", "queued", speaking, "all");
  const [first, second] = published.map(({ data }) => data);
  expect(first).toMatchObject({ at: at.toISOString(), list: [1] });
  expect(first).not.toHaveProperty("left");
  expect(second).toMatchObject({ job: "j", status: "queued", more: 1 });
});

test("what JSON cannot say is refused", async () => {
  const itself: Record<string, unknown> = {};
  itself["itself"] = itself;
  for (const details of [{ big: 7n }, itself]) {
    expect(await refusal(senders.sendJobNotification("j", "queued", details, "all"))).toBe("");
  }
});
