import { afterAll, beforeAll, expect, test } from "bun:test";
import { SCHEMAS } from "../src/http/operations/schemas.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish, startLocalServer, storedUpTo } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { hmacToken, SECRET } from "./support/tokens.ts";

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "events,orders,orders.eu" });
  await publish(server.url, { topic: "orders", key: "k", data: 0 });
});

afterAll(() => server[Symbol.asyncDispose]());

/** Endpoints that take topics, beside `/events`. */
const READING = ["/stream", "/events/recent", "/events/explain"];

/** The status and the problem of a request that is refused before any stream. */
async function refusal(target: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(`${server.url}${target}`, init);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const { type, parameter, status } = SCHEMAS.Problem.parse(await response.json());
  expect(response.status).toBe(status);
  return parameter === undefined ? [status, type] : [status, type, parameter];
}

test.each(READING)(
  "B14 an unknown topic is 404 at %s, whether or not others are known",
  async (path) => {
    for (const topics of [
      "nothing",
      "nothing*",
      "__consumer_offsets",
      "ORDERS",
      "orders,nothing",
    ]) {
      expect(await refusal(`${path}?topics=${topics}`)).toEqual([404, "/errors/topic-not-found"]);
    }
  },
);

test("B14 a topic that is not served is not looked up, whatever its name is", async () => {
  const names = [
    "nothing",
    "..",
    "%2e%2e",
    "__consumer_offsets",
    "%00",
    "%ff",
    "x".repeat(250),
    "*",
  ];
  for (const name of names) {
    const answer = await refusal(`/events/${name}/0/0`);
    // ".." is gone before the path is matched [URL standard §4.4].
    expect(answer).toBeOneOf([
      [404, "/errors/event-not-found"],
      [404, "/errors/endpoint-not-found"],
    ]);
  }
  expect((await fetch(`${server.url}/events/orders/0/0`)).status).toBe(200);
});

test("B14 a topic that the token does not allow is answered as one that does not exist", async () => {
  await using locked = await startLocalServer({
    KAFKA_TOPICS: "orders,payments",
    AUTH: "jwt",
    JWT_SECRET: SECRET,
  });
  const claims = { subscribe: ["orders"], publish: ["payments"] };
  const headers = { Authorization: `Bearer ${hmacToken({ headgate: claims })}` };
  await publish(locked.url, { topic: "payments", data: 1 }, headers);
  const answer = async (target: string): Promise<[status: number, body: string]> => {
    const response = await fetch(`${locked.url}${target}`, { headers });
    return [response.status, await response.text()];
  };
  for (const path of ["/events", ...READING]) {
    const [status, body] = await answer(`${path}?topics=payments`);
    expect(status).toBe(404);
    expect(await answer(`${path}?topics=paymentz`)).toEqual([
      404,
      body.replace("payments", "paymentz"),
    ]);
    expect((await answer(`${path}?topics=pay*`))[0]).toBe(404);
  }
  const held = await answer("/events/payments/0/0");
  expect(held).toEqual(await answer("/events/paymentz/0/0"));
  expect(held[0]).toBe(404);
  expect(await answer("/events/recent")).toEqual([200, '{"events":[],"truncated":false}\n']);
});

test("B14 a token that allows no topic is forbidden to read, before any stream", async () => {
  await using locked = await startLocalServer({ AUTH: "jwt", JWT_SECRET: SECRET });
  const headers = { Authorization: `Bearer ${hmacToken({ headgate: { publish: ["*"] } })}` };
  for (const path of ["/events", ...READING, "/events/events/0/0"]) {
    const response = await fetch(`${locked.url}${path}`, { headers });
    expect([path, response.status]).toEqual([path, 403]);
    expect(SCHEMAS.Problem.parse(await response.json()).type).toBe("/errors/forbidden");
  }
});

test.each(READING)(
  "B15 lists of topics that cannot be are 400 at %s, and name topics",
  async (path) => {
    const hundredAndOne = Array.from({ length: 101 }, (_, i) => `t${i}`).join(",");
    for (const topics of [
      "",
      ",",
      "..",
      "%2e",
      "x".repeat(250),
      "a*b",
      "orders,,events",
      hundredAndOne,
    ]) {
      expect(await refusal(`${path}?topics=${topics}`)).toEqual([
        400,
        "/errors/invalid-parameter",
        "topics",
      ]);
    }
  },
);

test("B15 the limit of a list is named, for every list", async () => {
  const items = Array.from({ length: 101 }, (_, i) => i).join(",");
  for (const name of ["topics", "types", "keys", "channels"]) {
    const response = await fetch(`${server.url}/events/recent?${name}=${items}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      parameter: name,
      detail: `Parameter "${name}" has 101 items; at most 100 are allowed`,
    });
  }
});

test.each([
  ["topics=events&%74opics=orders", "topics"],
  ["%5F%5Fproto%5F%5F=1", "__proto__"],
  ["__proto__[polluted]=1", "__proto__[polluted]"],
  ["constructor.prototype.polluted=1", "constructor.prototype.polluted"],
  ["toString=1", "toString"],
  ["=1", ""],
  ["%00=1", "\0"],
  ["topics[]=events", "topics[]"],
  ["limit=1;recent=5", "limit"],
  ["limit=1?limit=2", "limit"],
  ["per=keys", "per"],
  ["limit", "limit"],
])("B16 the query ?%s is 400, and names %j", async (query, parameter) => {
  expect(await refusal(`/events/recent?${query}`)).toEqual([
    400,
    "/errors/invalid-parameter",
    parameter,
  ]);
  expect("polluted" in {}).toBe(false);
});

test("B16 the newest of each key is asked for only together with recent events", async () => {
  const wrong = [400, "/errors/invalid-parameter", "per"];
  expect(await refusal("/events?per=key")).toEqual(wrong);
  expect(await refusal("/events?per=key&since=1h")).toEqual(wrong);
  expect(await refusal("/stream?per=key&since=1h")).toEqual(wrong);
  for (const target of ["/events?per=key&recent=5", "/stream?per=key"]) {
    await using subscriber = await TestSubscriber.live(server.url, target);
    expect(subscriber.response.status).toBe(200);
  }
});

test.each([
  ["topic=orders&topic=orders", [400, "/errors/invalid-parameter", "topic"]],
  ["topics=orders", [400, "/errors/invalid-parameter", "topics"]],
  ["__proto__=orders", [400, "/errors/invalid-parameter", "__proto__"]],
  ["topic=", [400, "/errors/invalid-parameter", "topic"]],
  ["topic=..", [400, "/errors/invalid-parameter", "topic"]],
  ["topic=orders*", [400, "/errors/invalid-parameter", "topic"]],
  ["topic=nothing", [404, "/errors/topic-not-found"]],
  ["topic=__consumer_offsets", [404, "/errors/topic-not-found"]],
])("B16 a publish with ?%s is refused, and nothing is stored", async (query, expected) => {
  const before = await storedUpTo(server.url);
  const body = '{"data":1}';
  const headers = { "Content-Type": "application/json" };
  expect(await refusal(`/events?${query}`, { method: "POST", headers, body })).toEqual(expected);
  expect(await storedUpTo(server.url)).toBe(before);
});

test("B16 thousands of cache busters are ignored", async () => {
  const response = await fetch(`${server.url}/events/recent?${"_=1&".repeat(2000)}limit=1`);
  expect(response.status).toBe(200);
});

test("B16 a path of 8 KB, and one of 60 KB, are refused, and the server goes on", async () => {
  expect((await fetch(`${server.url}/events/${"x".repeat(8000)}/0/0`)).status).toBe(404);
  const long = await fetch(`${server.url}/events/${"x".repeat(60_000)}/0/0`);
  expect(long.status).toBeOneOf([404, 414, 431]);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("B16 a publish with 500 headers is refused, and nothing is stored", async () => {
  const before = await storedUpTo(server.url);
  const headers = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`X-${i}`, "1"]));
  expect((await publish(server.url, { data: 1 }, headers)).status).toBeOneOf([400, 431]);
  expect(await storedUpTo(server.url)).toBe(before);
});

test("B17 what looks like a pattern is a text, but for a star at the end", async () => {
  const names = [".*", "(a+)+$", "[a-z]{1,9}", "a|b", "^a", "\\w", "**", "%2A"];
  for (const name of [...names, "aaaa", "a"]) {
    await publish(server.url, { topic: "orders.eu", type: name, key: name, data: name });
  }
  for (const name of names) {
    const keys = `topics=orders.eu&keys=${encodeURIComponent(name)}`;
    expect(await payloads(keys)).toEqual([name]);
  }
  for (const name of ["(a+)+$", "[a-z]{1,9}", "a|b", "^a", "\\w", "%2A"]) {
    const types = `topics=orders.eu&types=${encodeURIComponent(name)}`;
    expect(await payloads(types)).toEqual([name]);
  }
  expect(await payloads("topics=orders.eu&types=a*")).toEqual(["a", "aaaa", "a|b"]);
  expect(await payloads("topics=orders.eu&types=**")).toEqual(["**"]);
});

test("B17 the worst patterns cost no more than their length", async () => {
  const type = "a".repeat(1000);
  const events = Array.from({ length: 500 }, () => ({ topic: "orders", type, data: 1 }));
  expect((await publish(server.url, events)).status).toBe(200);
  const patterns = Array.from({ length: 100 }, (_, i) => `${"a*".repeat(20)}${i}*`).join(",");
  // 500 events × 100 patterns: what backtracks would not end at all.
  const response = await fetch(`${server.url}/events/recent?topics=orders&types=${patterns}`, {
    signal: AbortSignal.timeout(3000),
  });
  expect(await response.json()).toEqual({ events: [], truncated: false });
});

/** What `/events/recent` finds, in the order of its texts. */
async function payloads(query: string): Promise<string[]> {
  const response = await fetch(`${server.url}/events/recent?limit=100&${query}`);
  const { events } = SCHEMAS.Recent.parse(await response.json());
  return events.map(({ payload }) => String(payload)).toSorted();
}

test("B18 HEAD is everywhere where GET is, with its status, its headers and no body", async () => {
  for (const { path, methods } of await endpoints()) {
    if (!methods.includes("GET")) continue;
    await using peer = await RawPeer.send(
      server.port,
      `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    await peer.stream.ended();
    const abort = new AbortController();
    const get = await fetch(`${server.url}${path}`, { signal: abort.signal });
    expect([path, peer.status, peer.body]).toEqual([path, get.status, ""]);
    expect(peer.head.toLowerCase()).toInclude(
      `content-type: ${String(get.headers.get("content-type"))}`.toLowerCase(),
    );
    abort.abort();
  }
});

test("B18 OPTIONS says what an endpoint does, and lets no page in", async () => {
  for (const { path, methods } of await endpoints()) {
    const response = await fetch(`${server.url}${path}`, {
      method: "OPTIONS",
      headers: { Origin: "https://page.example", "Access-Control-Request-Method": "POST" },
    });
    expect([path, response.status, await response.text()]).toEqual([path, 204, ""]);
    const allow = (response.headers.get("allow") ?? "").split(", ");
    expect(allow).toEqual(expect.arrayContaining([...methods]));
    const cors = [...response.headers.keys()].filter((name) => name.startsWith("access-control-"));
    expect(cors).toEqual([]);
  }
});

test("B18 what an endpoint does not do is 405, and Allow says what it does", async () => {
  for (const { path, methods } of await endpoints()) {
    const allowed = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "QUERY"]) {
      if (allowed.includes(method)) continue;
      const response = await fetch(`${server.url}${path}`, { method });
      expect([method, path, response.status]).toEqual([method, path, 405]);
      expect(SCHEMAS.Problem.parse(await response.json()).type).toBe("/errors/method-not-allowed");
      const allow = (response.headers.get("allow") ?? "").split(", ");
      expect(allow).toEqual(expect.arrayContaining(allowed));
      expect(allow).not.toContain(method);
    }
  }
});

/** What the server says that it serves, with something in place of what stands in braces. */
async function endpoints(): Promise<readonly { path: string; methods: readonly string[] }[]> {
  const index = SCHEMAS.Index.parse(await (await fetch(server.url)).json());
  expect(index.endpoints.length).toBeGreaterThan(9);
  const examples: Readonly<Record<string, string>> = { topic: "orders", kind: "payment" };
  return index.endpoints.map(({ path, methods }) => ({
    path: path.replaceAll(/\{(\w+)\}/g, (_, name: string) => examples[name] ?? "0"),
    methods,
  }));
}
