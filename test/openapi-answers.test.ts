import { afterAll, beforeAll, expect, test } from "bun:test";
import { createParser } from "eventsource-parser";
import { createHeadgate } from "../src/headgate.ts";
import { problemsOf } from "../src/http/openapi.ts";
import { OPERATIONS } from "../src/http/operations/operations.ts";
import { RETRIED } from "../src/http/operations/problems.ts";
import { SCHEMAS } from "../src/http/operations/schemas.ts";
import { encodeEvent, encodeId } from "../src/sse/encoding.ts";
import { toEvent } from "../src/sse/event.ts";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const FORWARDED = { "X-Forwarded-For": "10.0.0.1" };
const PAYMENT = { id: "p-1", status: "completed", target: "all" };

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "orders,payments" });
  await publish(server.url, [
    { data: 1 },
    { key: "k", type: "t", data: { a: [1] }, headers: { trace: "x" } },
    { key: "k", data: null },
  ]);
  const binary = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "b" };
  await fetch(`${server.url}/events`, {
    method: "POST",
    headers: { ...binary, "Content-Type": "image/png" },
    body: new Uint8Array([0, 255, 1]),
  });
});

afterAll(() => server[Symbol.asyncDispose]());

/** Holds an answer against what its operation says of it; strictly: no member more. */
async function hold(key: string, response: Response): Promise<unknown> {
  const operation = OPERATIONS[key];
  if (!operation) throw new Error(`There is no operation ${key}`);
  const { status, headers } = response;
  const [type = ""] = (headers.get("content-type") ?? "").split(";");
  const answer = operation.answers[status];
  if (!answer) {
    const problem = SCHEMAS.Problem.parse(await response.json());
    const codes = (problemsOf(operation)[status] ?? []).map((code) => `/errors/${code}`);
    expect(type).toBe("application/problem+json");
    expect(problem.status).toBe(status);
    expect(codes).toContain(problem.type);
    expect(headers.has("retry-after")).toBe(RETRIED.has(status));
    return problem;
  }
  const schema = answer.content[type]?.schema;
  if (!schema) throw new Error(`${key} does not say that ${status} may be ${type}`);
  const text = await response.text();
  return SCHEMAS[schema].parse(type === "text/plain" ? text : JSON.parse(text));
}

test.each([
  ["GET /", "/"],
  ["GET /health", "/health"],
  ["GET /livez", "/livez"],
  ["GET /readyz", "/readyz"],
  ["GET /kafka/status", "/kafka/status"],
  ["GET /api/status", "/api/status"],
  ["GET /api/dashboard", "/api/dashboard"],
  ["GET /metrics", "/metrics"],
  ["GET /openapi.json", "/openapi.json"],
  ["GET /events/recent", "/events/recent"],
  ["GET /events/recent", "/events/recent?per=key&limit=1000"],
  ["GET /events/{topic}/{partition}/{offset}", "/events/orders/0/1"],
  ["GET /events/explain", "/events/explain"],
  ["GET /events/explain", "/events/explain?since=earliest&types=t"],
  ["GET /events/explain", "/events/explain?lastEventId=garbage"],
])("the answer to %s is as described (%s)", async (key, target) => {
  const response = await fetch(`${server.url}${target}`);
  expect(response.status).toBe(200);
  await hold(key, response);
});

test.each([
  ["GET /events", "/events?since=never", 400, {}],
  ["GET /events", "/events?topics=nothing", 404, {}],
  ["GET /events", "/events?userId=ann", 403, FORWARDED],
  ["GET /stream", "/stream?recent=5&since=1h", 400, {}],
  ["GET /events/recent", "/events/recent?limit=0", 400, {}],
  ["GET /events/recent", "/events/recent?topics=nothing", 404, {}],
  ["GET /events/explain", "/events/explain?per=key", 400, {}],
  ["GET /events/explain", "/events/explain?topics=nothing", 404, {}],
  ["GET /events/{topic}/{partition}/{offset}", "/events/orders/0/99", 404, {}],
  ["GET /events/{topic}/{partition}/{offset}", "/events/orders/0/1?types=t", 400, {}],
  ["GET /health", "/health", 403, { Host: "attacker.example" }],
])("the refusal of %s is as described (%s, %d)", async (key, target, status, headers) => {
  const response = await fetch(`${server.url}${target}`, { headers });
  expect(response.status).toBe(status);
  await hold(key, response);
});

test.each([
  [200, '{"data":1}', {}],
  [400, "{", {}],
  [400, '{"data":1}', { "Idempotency-Key": "k".repeat(129) }],
  [403, '{"data":1}', FORWARDED],
  [404, '{"topic":"nothing","data":1}', {}],
  [413, JSON.stringify({ data: "x".repeat(2 ** 20) }), {}],
  [415, "data", { "Content-Type": "text/plain" }],
  [422, '{"type":"close","data":1}', {}],
])("the answer %d to POST /events is as described", async (status, body, headers) => {
  const response = await publish(server.url, body, headers);
  expect(response.status).toBe(status);
  await hold("POST /events", response);
});

test("the answer to a publish that is repeated is as described", async () => {
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const first = await hold("POST /events", await publish(server.url, { data: 1 }, headers));
  const second = await hold("POST /events", await publish(server.url, { data: 1 }, headers));
  expect(first).not.toHaveProperty("duplicate");
  expect(second).toMatchObject({ duplicate: true });
});

test.each([
  [200, "payment", PAYMENT],
  [404, "nothing", PAYMENT],
  [400, "payment", { ...PAYMENT, more: 1 }],
  [422, "payment", { ...PAYMENT, id: "\n" }],
])("the answer %d to POST /notifications/%s is as described", async (status, kind, body) => {
  const response = await fetch(`${server.url}/notifications/${kind}`, {
    method: "POST",
    headers: JSON_TYPE,
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(status);
  await hold("POST /notifications/{kind}", response);
});

test("the answers of a server that waits for Kafka are as described", async () => {
  const headgate = createHeadgate({
    environment: {
      PORT: "0",
      DATA_DIR: ":memory:",
      SHUTDOWN_GRACE: "0",
      LOG_LEVEL: "silent",
      // Nobody listens there: it is the port of `tcpmux`, below those that tests get.
      KAFKA_BROKERS: "127.0.0.1:1",
    },
  });
  await headgate.start();
  headgate.ready.catch(() => {
    // It stops before it ever is.
  });
  try {
    const get = (path: string): Promise<Response> => fetch(`${headgate.url}${path}`);
    const readyz = await get("/readyz");
    expect(readyz.status).toBe(503);
    await hold("GET /readyz", readyz);
    await hold("GET /kafka/status", await get("/kafka/status"));
    const recent = await get("/events/recent");
    expect(recent.status).toBe(503);
    await hold("GET /events/recent", recent);
    await hold("GET /events/explain", await get("/events/explain"));
  } finally {
    await headgate.stop();
  }
});

test("a stream that is turned away is told so as described", async () => {
  await using full = await startLocalServer({ SSE_MAX_CONNECTIONS: "1" });
  const abort = new AbortController();
  const open = await fetch(`${full.url}/events`, { signal: abort.signal });
  await open.body?.getReader().read();
  const refused = await fetch(`${full.url}/events`);
  expect(refused.status).toBe(503);
  await hold("GET /events", refused);
  abort.abort();
});

/** What comes on a stream until the server ends it, which it is made to do. */
async function textOfStream(query: string, accept: string): Promise<string> {
  const own = await startLocalServer({ SSE_HEARTBEAT_INTERVAL: "50" });
  let stopped: Promise<void> | undefined;
  try {
    await publish(own.url, [
      { data: 1 },
      { key: "k", type: "t", data: "a\nb" },
      { key: "k", data: null },
    ]);
    const headers = { Accept: accept, "Last-Event-ID": "garbage" };
    const response = await fetch(`${own.url}/events?since=earliest${query}`, { headers });
    expect(response.headers.get("content-type")).toStartWith(accept);
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (/heartbeat/.test(text)) stopped ??= own.headgate.stop();
    }
    return text;
  } finally {
    await (stopped ?? own.headgate.stop());
  }
}

test.each(["", "&envelope=true"])(
  "each item of an event stream is as described (%j)",
  async (query) => {
    const items: unknown[] = [];
    const parser = createParser({
      onEvent: (event) => items.push(event),
      onRetry: (retry) => items.push({ retry }),
    });
    parser.feed(await textOfStream(query, "text/event-stream"));
    const parsed = items.map((item) => SCHEMAS.StreamItem.parse(dropUndefined(item)));
    const names = parsed.map((item) => ("retry" in item ? "retry" : (item.event ?? "message")));
    expect([...new Set(names)].toSorted()).toEqual([
      "close",
      "connection",
      "delete",
      "heartbeat",
      "live",
      "message",
      "reset",
      "retry",
      "t",
    ]);
  },
);

test("each line of a stream as JSON is as described", async () => {
  const lines = (await textOfStream("", "application/x-ndjson")).trimEnd().split("\n");
  const parsed = lines.map((line) => SCHEMAS.StreamLine.parse(JSON.parse(line)));
  const names = parsed.map((item) => ("event" in item ? item.event : "a record"));
  expect([...new Set(names)].toSorted()).toEqual([
    "a record",
    "close",
    "connection",
    "heartbeat",
    "live",
    "reset",
  ]);
});

test("a record that cannot be shown is as described", () => {
  const event = toEvent({
    seq: 1,
    kind: "skipped",
    topic: "orders",
    tag: "abc",
    partition: 0,
    offset: 0,
    arrivedMs: 0,
    timestampMs: -1,
    timestampType: "unknown",
    key: null,
    value: null,
    headers: [],
    reason: "too-large",
    offsets: undefined,
  });
  const text = (encoding: "plain" | "ndjson"): string =>
    Buffer.concat([encodeId(encoding, "1~orders~abc~1"), encodeEvent(encoding, event)]).toString();
  createParser({
    onEvent: (item) => expect(SCHEMAS.StreamItem.parse(item)).toMatchObject({ event: "skipped" }),
  }).feed(text("plain"));
  expect(SCHEMAS.StreamLine.parse(JSON.parse(text("ndjson")))).toMatchObject({ event: "skipped" });
  expect.assertions(2);
});

/** The parser gives what is not there as undefined. */
function dropUndefined(item: unknown): unknown {
  return JSON.parse(JSON.stringify(item));
}
