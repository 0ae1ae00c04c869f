import { expect, test } from "bun:test";
import { createProducer, type Producer, type ProducerOptions } from "./producer.ts";

interface Sent {
  readonly url: string;
  readonly body: unknown;
  readonly key: string | null;
}

/** A producer whose server stores everything, and what it sends. */
function recorded(options: Partial<ProducerOptions> = {}): { producer: Producer; sent: Sent[] } {
  const sent: Sent[] = [];
  const producer = createProducer({
    url: "https://events.example",
    fetch: (url, { headers, body }) => {
      const key = new Headers(headers).get("idempotency-key");
      const json: unknown = typeof body === "string" ? JSON.parse(body) : undefined;
      sent.push({ url, body: json, key });
      return Promise.resolve(Response.json({ published: 1, events: [], receivers: 3 }));
    },
    ...options,
  });
  return { producer, sent };
}

test("each call becomes the event that it says", async () => {
  const { producer, sent } = recorded();
  await producer.publish({ data: 1 });
  await producer.publish([{ data: 1 }, { data: 2, to: { user: ["a", "b"] } }]);
  const options = { type: "t", topic: "orders", key: "k", headers: { trace: "1" } };
  expect(await producer.broadcast({ n: 1 }, options)).toBe(3);
  expect(await producer.sendToUser("alice", "x")).toBe(3);
  expect(await producer.sendToChannel("news", "x", { type: "t" })).toBe(3);
  expect(await producer.sendToClient("phone", null)).toBe(3);
  expect(sent.map(({ body }) => body)).toEqual([
    { data: 1 },
    [{ data: 1 }, { data: 2, to: { user: ["a", "b"] } }],
    { ...options, data: { n: 1 } },
    { to: { user: "alice" }, data: "x" },
    { to: { channel: "news" }, data: "x", type: "t" },
    { to: { client: "phone" }, data: null },
  ]);
  expect(new Set(sent.map(({ url }) => url))).toEqual(new Set(["https://events.example/events"]));
});

test("a notification goes to its kind", async () => {
  const { producer, sent } = recorded();
  await producer.sendNotification("payment", "p1", "failed", { amount: 1 }, "user", "alice", {
    trace: "t",
  });
  await producer.sendNotification("user-account", "u1", "created", {}, "all");
  expect(sent).toMatchObject([
    {
      url: "https://events.example/notifications/payment",
      body: {
        id: "p1",
        status: "failed",
        details: { amount: 1 },
        target: "user",
        targetId: "alice",
        metadata: { trace: "t" },
      },
    },
    { url: "https://events.example/notifications/user-account", body: { target: "all" } },
  ]);
});

test("statuses, details and kinds are known to the types", () => {
  const { producer } = recorded();
  const wrong = [
    // @ts-expect-error: no status of a payment
    () => producer.sendNotification("payment", "p1", "lost", {}, "all"),
    // @ts-expect-error: an amount is a number
    () => producer.sendNotification("payment", "p1", "failed", { amount: "1" }, "all"),
    // @ts-expect-error: no kind
    () => producer.sendNotification("refund", "p1", "failed", {}, "all"),
  ];
  expect(wrong).toHaveLength(3);
});

test("every call has an idempotency key: its own, or the caller's", async () => {
  const { producer, sent } = recorded();
  await producer.publish({ data: 1 });
  await producer.broadcast(1);
  await producer.broadcast(1, { idempotencyKey: "order 7" });
  await producer.sendNotification("job", "j", "started", {}, "all", undefined, undefined, {
    idempotencyKey: "order 8",
  });
  const [first, second, ...own] = sent.map(({ key }) => key);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(second).toMatch(/^[0-9a-f]{32}$/);
  expect(second).not.toBe(first);
  expect(own).toEqual(["order 7", "order 8"]);
  expect(sent.map(({ body }) => body)).not.toContainEqual(
    expect.objectContaining({ idempotencyKey: expect.anything() }),
  );
});

test.each(["", " a", "a ", "a\nb", "é", "x".repeat(129)])(
  "the idempotency key %j is refused before anything is sent",
  async (idempotencyKey) => {
    const { producer, sent } = recorded();
    const error = await producer
      .publish({ data: 1 }, { idempotencyKey })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RangeError);
    expect(sent).toEqual([]);
  },
);

test("a path before the endpoints is kept", async () => {
  const { producer, sent } = recorded({ url: "https://example.com/live/" });
  await producer.broadcast(1);
  expect(sent[0]?.url).toBe("https://example.com/live/events");
});

test.each([
  "",
  "events.example",
  "ftp://a",
  "http://u:pass@a",
  "http://a/?token=pass",
  "http://a/#pass",
])("the url %j is refused, without repeating it", (url) => {
  const create = (): Producer => createProducer({ url });
  expect(create).toThrow(TypeError);
  expect(create).not.toThrow("pass@");
});

test.each([
  { timeoutMs: 0 },
  { timeoutMs: 2 ** 31 },
  { timeoutMs: Number.NaN },
  { maxRetries: -1 },
  { maxRetries: Number.NaN },
])("%j is refused", (options) => {
  expect(() => recorded(options)).toThrow(RangeError);
});
