import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { createProducer, type Producer } from "../src/client/producer.ts";
import { PublishError } from "../src/client/publish-error.ts";
import { until } from "./support/feed.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

/** What a proxy does with a request; then it goes on with the next of its list, and passes all when that is empty. */
type Fault =
  /** The server gets it, and its answer never comes. */
  | "lose the answer"
  /** The head of the answer comes, and then nothing. */
  | "cut the answer"
  /** It does not get to the server. */
  | "lose the request"
  /** No answer for as long as the caller waits. */
  | "never answer"
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A proxy on which nothing can be relied. */
class UnreliableProxy implements AsyncDisposable {
  readonly #upstream: string;
  readonly #server = createServer((request, response) => {
    void this.#pass(request, response);
  });
  faults: Fault[] = [];
  /** Of every request that came, its Idempotency-Key. */
  readonly keys: string[] = [];

  private constructor(upstream: string) {
    this.#upstream = upstream;
  }

  static async start(upstream: string): Promise<UnreliableProxy> {
    const proxy = new UnreliableProxy(upstream);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("Not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
    const { "content-type": type, "idempotency-key": key } = request.headers;
    this.keys.push(String(key));
    const fault = this.faults.shift();
    if (fault === "never answer") return;
    if (fault === "lose the request") {
      request.socket.destroy();
      return;
    }
    if (typeof fault === "object") {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const answer = await fetch(this.#upstream + String(request.url), {
      method: "POST",
      headers: { "Content-Type": String(type), "Idempotency-Key": String(key) },
      body: Buffer.concat(chunks),
    });
    const body = await answer.text();
    if (fault === "lose the answer") {
      request.socket.destroy();
      return;
    }
    const headers = { "Content-Type": String(answer.headers.get("content-type")) };
    if (fault === undefined) {
      response.writeHead(answer.status, headers).end(body);
      return;
    }
    response.writeHead(answer.status, { ...headers, "Content-Length": body.length + 1 });
    response.write(body.slice(0, 10), () => request.socket.destroy());
  }
}

let server: LocalServer;
let proxy: UnreliableProxy;
let producer: Producer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
  proxy = await UnreliableProxy.start(server.url);
  producer = createProducer({ url: proxy.url });
});

beforeEach(() => {
  proxy.faults = [];
  proxy.keys.length = 0;
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function failure(call: Promise<unknown>): Promise<PublishError> {
  const error = await call.catch((reason: unknown) => reason);
  if (error instanceof PublishError) return error;
  throw new Error(`Not a PublishError: ${String(error)}`);
}

test("what a producer sends reaches whom it names, and it is told how many", async () => {
  const direct = createProducer({ url: server.url });
  await using alice = await TestSubscriber.live(server.url, "/events?userId=alice&channels=news");
  await using bob = await TestSubscriber.live(server.url, "/events?userId=bob&clientId=phone");
  expect(await direct.sendToUser("alice", { n: 1 }, { type: "greeting" })).toBe(1);
  expect(await direct.sendToUser("nobody", { n: 2 })).toBe(0);
  expect(await direct.sendToChannel("news", { n: 3 })).toBe(1);
  expect(await direct.sendToClient("phone", { n: 4 })).toBe(1);
  expect(
    await direct.broadcast({ n: 5 }, { topic: "orders", key: "o-1", headers: { a: "b" } }),
  ).toBe(2);
  const result = await direct.publish([{ data: { n: 6 }, type: "last" }, { data: { n: 7 } }]);
  expect(result).toMatchObject({ published: 2, receivers: 2 });
  expect(result.events.map(({ topic }) => topic)).toEqual(["events", "events"]);
  expect((await alice.recordsUpTo(5)).map(({ event, data }) => [event, data])).toEqual([
    ["greeting", '{"n":1}'],
    ["message", '{"n":3}'],
    ["message", '{"n":5}'],
    ["last", '{"n":6}'],
    ["message", '{"n":7}'],
  ]);
  expect((await bob.recordsUpTo(4)).map(({ data }) => data)).toEqual([
    '{"n":4}',
    '{"n":5}',
    '{"n":6}',
    '{"n":7}',
  ]);
});

test("what the server refuses is thrown with its problem, and is not sent again", async () => {
  const error = await failure(producer.broadcast({ secret: "pay-load" }, { topic: "nothing" }));
  expect(error).toMatchObject({
    status: 404,
    mayBeStored: false,
    problem: { type: "/errors/topic-not-found", detail: expect.stringContaining("nothing") },
  });
  expect(error.message).not.toContain("pay-load");
  expect(proxy.keys).toEqual([error.idempotencyKey]);
});

test("a request that was lost, and a 502 and a 503 after it, are tried again with the same key", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  proxy.faults = ["lose the request", { status: 502 }, { status: 503 }];
  expect(await producer.broadcast("once")).toBe(1);
  expect(proxy.keys).toHaveLength(4);
  expect(new Set(proxy.keys).size).toBe(1);
  await producer.broadcast("then");
  expect((await subscriber.recordsUpTo(2)).map(({ data }) => data)).toEqual(['"once"', '"then"']);
});

test.each<Fault>(["lose the answer", "cut the answer"])(
  "D8 when a proxy happens to %s, a retry makes no second event, and says so",
  async (fault) => {
    await using subscriber = await TestSubscriber.live(server.url);
    proxy.faults = [fault, fault];
    const result = await producer.publish([{ data: "once" }, { data: "and once" }]);
    expect(result).toMatchObject({ published: 2, duplicate: true });
    expect(proxy.keys).toHaveLength(3);
    expect(new Set(proxy.keys).size).toBe(1);
    await producer.broadcast("then");
    const seen = (await subscriber.recordsUpTo(3)).map(({ data }) => data);
    expect(seen).toEqual(['"once"', '"and once"', '"then"']);
  },
);

test("D8 a call that was given up is made again later with its key, and makes one event", async () => {
  await using subscriber = await TestSubscriber.live(server.url);
  const hasty = createProducer({ url: proxy.url, maxRetries: 0 });
  proxy.faults = ["lose the answer"];
  const { mayBeStored, idempotencyKey } = await failure(hasty.broadcast("once"));
  expect(mayBeStored).toBe(true);
  const again = await producer.publish({ data: "once" }, { idempotencyKey });
  expect(again).toMatchObject({ published: 1, duplicate: true });
  const first = await hasty.publish({ data: "then" });
  expect(first).not.toHaveProperty("duplicate");
  const seen = (await subscriber.recordsUpTo(2)).map(({ data }) => data);
  expect(seen).toEqual(['"once"', '"then"']);
});

test("a notification reaches whom it names, once, and is its id's state for who comes later", async () => {
  const { sendNotification } = producer;
  await using alice = await TestSubscriber.live(server.url, "/events?userId=alice");
  await sendNotification("payment", "p-1", "pending", { amount: 12.5 }, "user", "alice");
  await sendNotification("payment", "p-1", "failed", {}, "user", "bob");
  proxy.faults = ["lose the answer"];
  const details = { amount: 12.5, currency: "EUR", shop: "north" };
  const trace = { trace: "t-1" };
  const to = ["user", "alice", trace] as const;
  const paid = await sendNotification("payment", "p-1", "completed", details, ...to);
  expect(paid).toMatchObject({ published: 1, duplicate: true });
  await sendNotification("system-health", "disk", "warning", {}, "all");
  const seen = (await alice.recordsUpTo(3)).map(({ event }) => event);
  expect(seen).toEqual(["payment:pending", "payment:completed", "system-health:warning"]);

  const query = "userId=alice&keys=p-1&recent=1&per=key&envelope=true";
  await using later = await TestSubscriber.live(server.url, `/events?${query}`);
  const states = later.records.map(({ data }) => JSON.parse(data) as unknown);
  expect(states).toMatchObject([{ key: "p-1", headers: { trace: "t-1" } }]);
  expect(states).toHaveProperty("0.payload", {
    paymentId: "p-1",
    status: "completed",
    ...details,
    timestamp: expect.any(String),
  });
});

test("a notification that is none is refused by the server, with the place", async () => {
  // @ts-expect-error: an amount is a number
  const amount = producer.sendNotification("payment", "p-1", "failed", { amount: "1" }, "all");
  expect(await failure(amount)).toMatchObject({
    status: 400,
    mayBeStored: false,
    problem: { type: "/errors/invalid-body", pointer: "/details/amount" },
  });
  // @ts-expect-error: no kind
  const refund = producer.sendNotification("refund", "p-1", "completed", {}, "all");
  expect(await failure(refund)).toMatchObject({
    status: 404,
    problem: { type: "/errors/endpoint-not-found", detail: expect.stringContaining("payment") },
  });
});

test("Retry-After is waited for", async () => {
  proxy.faults = [{ status: 429, headers: { "Retry-After": "1" } }];
  const startedMs = performance.now();
  await producer.broadcast(1);
  expect(performance.now() - startedMs).toBeWithin(1000, 3000);
  expect(proxy.keys).toHaveLength(2);
});

test("a call that finds no server, or only one that gives no answer, is given up", async () => {
  const unbound = await UnreliableProxy.start(server.url);
  const { url } = unbound;
  await unbound[Symbol.asyncDispose]();
  const nowhere = createProducer({ url, maxRetries: 1 });
  expect(await failure(nowhere.broadcast(1))).toMatchObject({
    status: undefined,
    mayBeStored: false,
  });
  const hasty = createProducer({ url: proxy.url, maxRetries: 1, timeoutMs: 50 });
  proxy.faults = ["never answer", "never answer"];
  const error = await failure(hasty.broadcast(1, { idempotencyKey: "k" }));
  expect(error).toMatchObject({ status: undefined, mayBeStored: true, idempotencyKey: "k" });
  expect(proxy.keys).toEqual(["k", "k"]);
});

test("a call is aborted while it waits for its answer", async () => {
  const abort = new AbortController();
  proxy.faults = ["never answer"];
  const call = failure(producer.broadcast(1, { signal: abort.signal }));
  await until(() => proxy.keys.length === 1);
  abort.abort();
  expect(await call).toMatchObject({ mayBeStored: true, cause: abort.signal.reason });
});

const node = Bun.which("node");

test.skipIf(node === null)(
  "Node runs it as it is built, with nothing but what is its own",
  async () => {
    const entry = join(import.meta.dir, "../src/client/producer.ts");
    const { outputs } = await Bun.build({ entrypoints: [entry], target: "browser" });
    const text = (await outputs[0]?.text()) ?? "";
    expect(text).toContain("createProducer");
    expect(text).not.toMatch(/\bBun\b|\bimport\b|\brequire\b|\bprocess\b/);
    using directory = temporaryDirectory();
    const path = join(directory.path, "publish.mjs");
    await Bun.write(
      path,
      `${text}
const producer = createProducer({ url: process.argv[2] });
console.log(await producer.sendToUser("carol", { from: "node" }));
`,
    );
    await using carol = await TestSubscriber.live(server.url, "/events?userId=carol");
    proxy.faults = ["lose the request"];
    const run = Bun.spawn([node ?? "node", path, proxy.url], { stdout: "pipe", stderr: "inherit" });
    expect(await new Response(run.stdout).text()).toBe("1\n");
    expect(await run.exited).toBe(0);
    expect((await carol.recordsUpTo(1))[0]?.data).toBe('{"from":"node"}');
  },
);
