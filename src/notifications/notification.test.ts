import { expect, test } from "bun:test";
import fc from "fast-check";
import { z } from "zod";
import { HeadgateError } from "../errors.ts";
import { hasControlCharacter } from "../sse/event.ts";
import { NOTIFICATION_KINDS, type NotificationKind } from "./kinds.ts";
import { notificationBodyOf } from "./notification-body.ts";
import { toEvent } from "./notification.ts";

const NOW = new Date("2026-11-05T10:00:00.000Z");
const PAID = { id: "p-1", status: "completed", target: "all" };

/** The code, the pointer and the message with which a body is refused. */
function refusal(kind: string, body: unknown): [string, string | undefined, string] {
  try {
    toEvent(kind, body, NOW);
  } catch (error) {
    if (error instanceof HeadgateError) return [error.code, error.details.pointer, error.message];
    throw error;
  }
  throw new Error(`Not refused: ${JSON.stringify(body)}`);
}

test("a notification becomes an event with its kind and status as type and its id as key", () => {
  const body = {
    ...PAID,
    details: { amount: 12.5, currency: "EUR", shop: { name: "north" } },
    target: "user",
    targetId: "alice",
    metadata: { trace: "t-1" },
  };
  expect(toEvent("payment", body, NOW)).toEqual({
    type: "payment:completed",
    key: "p-1",
    data: {
      paymentId: "p-1",
      status: "completed",
      amount: 12.5,
      currency: "EUR",
      shop: { name: "north" },
      timestamp: "2026-11-05T10:00:00.000Z",
    },
    headers: { trace: "t-1" },
    to: { user: "alice" },
  });
});

test("without details, metadata and somebody named there is nothing of them in the event", () => {
  expect(toEvent("payment", PAID, NOW)).toEqual({
    type: "payment:completed",
    key: "p-1",
    data: { paymentId: "p-1", status: "completed", timestamp: NOW.toISOString() },
  });
});

test.each([
  ["payment", "paymentId", ["pending", "completed", "failed", "refunded"]],
  ["user-account", "userId", ["created", "updated", "deleted", "verified", "suspended"]],
  ["system-health", "component", ["healthy", "warning", "critical"]],
  ["video-processing", "videoId", ["queued", "processing", "completed", "failed"]],
  ["data-export", "exportId", ["queued", "processing", "completed", "failed"]],
  ["post-update", "postId", ["created", "updated", "published", "deleted"]],
  ["profile-update", "userId", ["updated", "avatar_changed"]],
  ["job", "job", ["queued", "started", "completed", "failed"]],
])("%s calls its id %s, and has the statuses %j and no other", (kind, idField, statuses) => {
  for (const status of statuses) {
    const event = toEvent(kind, { id: "x", status, target: "all" }, NOW);
    expect(event).toMatchObject({ type: `${kind}:${status}`, data: { [idField]: "x", status } });
  }
  const [code, pointer, message] = refusal(kind, { id: "x", status: "lost", target: "all" });
  expect([code, pointer]).toEqual(["invalid-body", "/status"]);
  expect(message).toContain(`"lost" is none of the statuses of ${kind}: ${statuses.join(", ")}`);
});

test.each([
  ["payment", { amount: 1, currency: "EUR", customerId: "c", orderId: "o" }],
  ["user-account", { email: "zoë@müller.example", username: "zoë" }],
  ["system-health", { message: "slow", metrics: { cpu: 0.9, disk: "full" } }],
  ["video-processing", { title: "t", duration: 12.5, quality: "1080p" }],
  [
    "data-export",
    { format: "csv", recordCount: 3, fileSize: 0, downloadUrl: "https://a.example/x" },
  ],
  ["post-update", { title: "t", author: "a", category: "c" }],
  ["profile-update", { username: "u", avatarUrl: "http://localhost:8080/a.png" }],
  ["job", { anything: [1, null, { at: "all" }] }],
] as const)("the details of %s are %j", (kind, details) => {
  const [status] = NOTIFICATION_KINDS[kind].statuses;
  const event = toEvent(kind, { id: "x", status, details, target: "all" }, NOW);
  expect(event.data).toMatchObject(details);
});

test.each([
  ["payment", { amount: "12" }, "/details/amount"],
  ["payment", { amount: Number.NaN }, "/details/amount"],
  ["payment", { amount: null }, "/details/amount"],
  ["payment", { currency: "EURO" }, "/details/currency"],
  ["payment", { orderId: 7 }, "/details/orderId"],
  ["user-account", { email: "nobody" }, "/details/email"],
  ["system-health", { metrics: { "cpu/0": [] } }, "/details/metrics/cpu~10"],
  ["video-processing", { duration: -1 }, "/details/duration"],
  ["data-export", { recordCount: 1.5 }, "/details/recordCount"],
  ["data-export", { downloadUrl: "/relative" }, "/details/downloadUrl"],
  ["profile-update", { avatarUrl: "javascript:alert(1)" }, "/details/avatarUrl"],
  ["job", [], "/details"],
] as const)("%s with the details %j is refused at %s", (kind, details, at) => {
  const [status] = NOTIFICATION_KINDS[kind].statuses;
  const [code, pointer] = refusal(kind, { id: "x", status, details, target: "all" });
  expect([code, pointer]).toEqual(["invalid-body", at]);
});

test.each([
  [undefined, ""],
  [7, ""],
  [[], ""],
  [{ ...PAID, id: undefined }, "/id"],
  [{ ...PAID, id: "" }, "/id"],
  [{ ...PAID, id: 7 }, "/id"],
  [{ ...PAID, status: undefined }, "/status"],
  [{ ...PAID, target: "room" }, "/target"],
  [{ ...PAID, target: "user" }, "/targetId"],
  [{ ...PAID, target: "channel", targetId: "" }, "/targetId"],
  [{ ...PAID, targetId: "alice" }, "/targetId"],
  [{ ...PAID, amount: 1 }, "/amount"],
  [{ ...PAID, metadata: { attempt: 1 } }, "/metadata/attempt"],
  [{ ...PAID, metadata: { "": "x" } }, "/metadata/"],
  [JSON.parse('{"id":"a","status":"failed","target":"all","__proto__":{}}'), "/__proto__"],
  [{ ...PAID, metadata: JSON.parse('{"__proto__":"x"}') as unknown }, "/metadata/__proto__"],
])("D1 the notification %j is refused at %j", (body, at) => {
  const [code, pointer] = refusal("payment", body);
  expect([code, pointer]).toEqual(["invalid-body", at]);
});

test.each([
  [{ ...PAID, id: "a\r\nid: 1" }, "/id"],
  [{ ...PAID, id: "\ud800" }, "/id"],
  [{ ...PAID, target: "user", targetId: "a\0" }, "/targetId"],
  [{ ...PAID, metadata: { trace: "a\nb" } }, "/metadata/trace"],
  [{ ...PAID, metadata: { Type: "x" } }, "/metadata/Type"],
  [{ ...PAID, metadata: { "headgate-user": "x" } }, "/metadata/headgate-user"],
  [{ ...PAID, metadata: { ce_id: "x" } }, "/metadata/ce_id"],
])("A17 %j is refused: no record can carry it", (body, at) => {
  const [code, pointer] = refusal("payment", body);
  expect([code, pointer]).toEqual(["invalid-event", at]);
});

test.each(["refund", "", "constructor", "__proto__", "Payment"])(
  "there is no kind %j, and the answer says which there are",
  (kind) => {
    const [code, , message] = refusal(kind, PAID);
    expect(code).toBe("endpoint-not-found");
    for (const known of Object.keys(NOTIFICATION_KINDS)) expect(message).toContain(known);
  },
);

test("no refusal repeats what the details hold", () => {
  const secret = "s3cret-value";
  for (const details of [{ amount: secret }, { currency: secret }, { customerId: { secret } }]) {
    expect(refusal("payment", { ...PAID, details })[2]).not.toContain(secret);
  }
});

test("a hundred metadata are taken, and no more", () => {
  const metadata = (count: number): object =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`name-${i}`, "x"]));
  const event = toEvent("payment", { ...PAID, metadata: metadata(100) });
  expect(Object.keys(event.headers ?? {})).toHaveLength(100);
  const [code, pointer] = refusal("payment", { ...PAID, metadata: metadata(101) });
  expect([code, pointer]).toEqual(["invalid-body", "/metadata"]);
});

test("a field with a name as long as a body is refused with a short message", () => {
  const [, pointer, message] = refusal("payment", { ...PAID, ["x".repeat(100_000)]: 1 });
  expect(pointer).toBe(`/${"x".repeat(100)}`);
  expect(message.length).toBeLessThan(300);
});

/** Values with the names that could take the place of something, and with some that mean more than they say. */
const details = fc.dictionary(
  fc.oneof(
    fc.constantFrom("job", "status", "timestamp", "type", "key", "__proto__", "constructor"),
    fc.string(),
  ),
  fc.jsonValue(),
  { noNullPrototype: true },
);

test("whatever the details hold, id, status and time are those that were given", () => {
  const kind = "job";
  fc.assert(
    fc.property(
      details,
      fc.constantFrom(...NOTIFICATION_KINDS[kind].statuses),
      fc.string({ minLength: 1 }).filter((id) => !hasControlCharacter(id)),
      (given, status, id) => {
        const event = toEvent(kind, { id, status, details: given, target: "all" }, NOW);
        const data = JSON.parse(JSON.stringify(event.data)) as Record<string, unknown>;
        expect(data).toMatchObject({ job: id, status, timestamp: NOW.toISOString() });
        expect(event).toMatchObject({ type: `job:${status}`, key: id });
        const names = [...Object.keys(given), "job", "status", "timestamp"];
        expect(Object.keys(data).toSorted()).toEqual([...new Set(names)].toSorted());
      },
    ),
  );
});

test("B16 __proto__ in details is kept as data, and changes no object", () => {
  const given = JSON.parse('{"__proto__":{"polluted":1}}') as unknown;
  const { data } = toEvent("job", { id: "j", status: "queued", details: given, target: "all" });
  expect(JSON.stringify(data)).toContain('"__proto__":{"polluted":1}');
  expect("polluted" in data).toBe(false);
});

test("D2 a hundred thousand levels of nesting are refused at once", () => {
  const nested = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as unknown;
  const body = { id: "j", status: "queued", details: { nested }, target: "all" };
  const startedMs = performance.now();
  expect(refusal("job", body).slice(0, 2)).toEqual(["invalid-body", ""]);
  expect(performance.now() - startedMs).toBeLessThan(200);
});

test.each(Object.keys(NOTIFICATION_KINDS))("the body of %s has a JSON Schema", (kind) => {
  // The keys of the table are the kinds.
  const body = notificationBodyOf(kind as NotificationKind);
  for (const target of ["draft-2020-12", "openapi-3.0"] as const) {
    expect(z.toJSONSchema(body, { target, io: "input" })).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: ["id", "status", "target"],
      properties: {
        id: { type: "string", minLength: 1 },
        details: { type: "object" },
        target: { enum: ["user", "channel", "client", "all"] },
      },
    });
  }
});
