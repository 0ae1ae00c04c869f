import { afterAll, beforeAll, expect, test } from "bun:test";
import { ALL, bearer, startJwtServer, statusOf } from "./support/callers.ts";
import { type LocalServer, publish, type Settings } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { hmacToken } from "./support/tokens.ts";

const OPEN = ["/health", "/livez", "/readyz"];
const STATUS = ["/", "/metrics", "/kafka/status", "/openapi.json"];
const READING = ["/events", "/stream", "/events/recent", "/events/explain", "/events/orders/0/0"];
const LISTED = "https://good.example";

let server: LocalServer;
/** The same, but that it does not serve "secret". */
let without: LocalServer;

beforeAll(async () => {
  const settings = { SSE_CORS_ORIGIN: `${LISTED},http://good.example:8080` };
  server = await startJwtServer({ ...settings, KAFKA_TOPICS: "orders,secret" });
  without = await startJwtServer({ ...settings, KAFKA_TOPICS: "orders" });
  const orders = { topic: "orders", data: 1 };
  await publish(server.url, [orders, { topic: "secret", key: "k", data: "s3cret" }], bearer(ALL));
  await publish(without.url, orders, bearer(ALL));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await without[Symbol.asyncDispose]();
});

test("only the health pages are open; the other pages need the claim status", async () => {
  const other = { ...ALL, status: false };
  for (const path of OPEN) {
    for (const headers of [{}, bearer({}), { Authorization: "Bearer a.b.c" }]) {
      expect([path, await statusOf(`${server.url}${path}`, headers)]).toEqual([path, 200]);
    }
  }
  for (const path of STATUS) {
    const url = `${server.url}${path}`;
    const answers = [await statusOf(url), await statusOf(url, bearer(other))];
    const good = [await statusOf(url, bearer({ status: true })), await statusOf(url, bearer(ALL))];
    expect([path, ...answers, ...good]).toEqual([path, 401, 403, 200, 200]);
  }
});

test("the claim status alone reads and publishes no event", async () => {
  const headers = bearer({ status: true });
  for (const path of READING) expect(await statusOf(`${server.url}${path}`, headers)).toBe(403);
  expect((await publish(server.url, { data: 1 }, headers)).status).toBe(403);
});

test.each(["GET", "HEAD"])(
  "%s without a token is 401 everywhere else, and says how to come",
  async (method) => {
    for (const path of [...STATUS, ...READING]) {
      for (const Accept of ["*/*", "text/event-stream"]) {
        const response = await fetch(`${server.url}${path}`, { method, headers: { Accept } });
        expect([path, response.status]).toEqual([path, 401]);
        expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        const text = await response.text();
        if (method === "HEAD") expect(text).toBe("");
        else expect(JSON.parse(text)).toMatchObject({ type: "/errors/unauthorized", status: 401 });
      }
    }
  },
);

test("POST without a token is 401, from this machine too", async () => {
  for (const path of ["/events", "/notifications/payment"]) {
    const response = await fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"data":1}',
    });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
  }
});

test("HEAD is held to the same rules as GET", async () => {
  const head = async (path: string, headers: Settings): Promise<number> =>
    (await fetch(`${server.url}${path}`, { method: "HEAD", headers })).status;
  const reader = bearer({ subscribe: ["orders"] });
  expect(await head("/events", reader)).toBe(200);
  expect(await head("/events/recent", reader)).toBe(200);
  expect(await head("/events/orders/0/0", reader)).toBe(200);
  expect(await head("/events?topics=secret", reader)).toBe(404);
  expect(await head("/events/secret/0/0", reader)).toBe(404);
  expect(await head("/events?channels=x", reader)).toBe(403);
  expect(await head("/events?userId=u2", reader)).toBe(403);
  expect(await head("/metrics", reader)).toBe(403);
  expect(await head("/metrics", bearer(ALL))).toBe(200);
});

test("OPTIONS needs no token, since browsers send none, and shows nothing but methods", async () => {
  for (const path of [...OPEN, ...STATUS, ...READING, "/notifications/payment"]) {
    const response = await fetch(`${server.url}${path}`, { method: "OPTIONS" });
    expect([path, response.status]).toEqual([path, 204]);
    expect(response.headers.get("allow")).toInclude("OPTIONS");
    expect(await response.text()).toBe("");
  }
  // Of a topic that is there no more than of one that is not.
  const allow = async (path: string): Promise<string | null> =>
    (await fetch(`${server.url}${path}`, { method: "OPTIONS" })).headers.get("allow");
  expect(await allow("/events/secret/0/0")).toBe(await allow("/events/nothing/0/0"));
});

/** All of an answer that could tell anything. */
async function answerOf(
  { url }: LocalServer,
  target: string,
  headers: Settings,
): Promise<[number, Record<string, string>, string]> {
  const response = await fetch(`${url}${target}`, { headers: { Accept: "*/*", ...headers } });
  const all = Object.fromEntries(response.headers);
  delete all["date"];
  delete all["x-request-id"];
  return [response.status, all, await response.text()];
}

test.each([
  "/events?topics=secret",
  "/events?topics=orders,secret",
  "/events?topics=secret*",
  "/events?topics=s*&since=earliest",
  "/stream?topics=secret",
  "/events/recent?topics=secret",
  "/events/recent?topics=secret&keys=k&limit=1",
  "/events/explain?topics=secret",
  "/events/explain?topics=secret&since=earliest",
  "/events/secret/0/0",
  "/events/secret/0/999",
  "/events/secret/7/0",
  "/events/secret/x/0",
])("B14 %s is answered as where that topic is not served", async (target) => {
  for (const subscribe of [["orders"], ["orders", "secretly"], ["s"]]) {
    const answer = await answerOf(server, target, bearer({ subscribe }));
    expect(answer).toEqual(await answerOf(without, target, bearer({ subscribe })));
    expect(answer[0]).toBeOneOf([403, 404]);
    expect(answer[0]).toBe(subscribe[0] === "orders" || target.includes("topics=") ? 404 : 403);
  }
  // The other way round: it is there for those who may read it.
  const good = target.startsWith("/events/secret/") ? "/events/secret/0/0" : target;
  expect(await statusOf(`${server.url}${good}`, bearer({ subscribe: ["*"] }))).toBe(200);
});

test("B14 a publish to a topic that the token does not allow is answered as where it is not served", async () => {
  const headers = bearer({ publish: ["orders"] });
  const answer = async ({ url }: LocalServer): Promise<[number, string]> => {
    const response = await publish(url, { topic: "secret", data: 1 }, headers);
    return [response.status, await response.text()];
  };
  expect(await answer(server)).toEqual(await answer(without));
  expect((await answer(server))[0]).toBe(403);
});

test("B6 an id that names a topic which the token may not read gives no access, and comes back without it", async () => {
  await using all = await TestSubscriber.live(server.url, "/events?since=earliest", {
    headers: bearer({ subscribe: ["*"] }),
  });
  await all.recordsUpTo(2);
  const start = (await all.first("connection")).id;
  expect(start).toMatch(/~secret~\w+~0$/);
  const headers = bearer({ subscribe: ["orders"] });
  await using reader = await TestSubscriber.live(server.url, "/events", {
    headers,
    lastEventId: start,
  });
  expect(reader.records.map(({ data }) => data)).toEqual(["1"]);
  expect(reader.named("reset")).toEqual([]);
  for (const { id, data } of reader.events) expect(id + data).not.toInclude("secret");
  const explained = await answerOf(server, `/events/explain?lastEventId=${start}`, headers);
  expect(explained[0]).toBe(200);
  expect(explained[2]).not.toInclude("secret");
  // A guess that is right and one that is wrong are told alike.
  const guess = (tag: string): string => `${start.replace(/~secret~.*/, "")}~secret~${tag}~0`;
  const target = (tag: string): string => `/events/explain?lastEventId=${guess(tag)}`;
  expect(await answerOf(server, target("aaaaa"), headers)).toEqual(explained);
});

test("a token says who comes: userId, username and clientId are not to be chosen", async () => {
  const named = bearer({ subscribe: ["*"], client: "till-7" }, { sub: "ann", name: "Ann" });
  const nameless = bearer({ subscribe: ["*"] }, { sub: undefined });
  for (const path of ["/events", "/stream", "/events/explain"]) {
    const ask = (query: string, headers: Settings): Promise<number> =>
      statusOf(`${server.url}${path}?${query}`, headers);
    for (const query of ["userId=bob", "username=Bob", "clientId=till-8", "clientId=TILL-7"]) {
      expect([query, await ask(query, named)]).toEqual([query, 403]);
      expect([query, await ask(query, nameless)]).toEqual([query, 403]);
    }
    expect(await ask("clientId=till-7&userId=bob", named)).toBe(403);
    expect(await ask("clientId=till-7", named)).toBe(200);
  }
});

test("the claim client is the stream's client id; without one the server makes them", async () => {
  const clientIdOf = async (headers: Settings): Promise<string> => {
    await using subscriber = await TestSubscriber.live(server.url, "/events", { headers });
    const { data } = await subscriber.first("connection");
    return (JSON.parse(data) as { clientId: string }).clientId;
  };
  expect(await clientIdOf(bearer({ subscribe: ["*"], client: "till-7" }))).toBe("till-7");
  const headers = bearer({ subscribe: ["*"] });
  const made = [await clientIdOf(headers), await clientIdOf(headers)];
  expect(new Set(made).size).toBe(2);
});

test.each<[string, number, Settings]>([
  ["no Origin", 403, {}],
  ["the Origin null", 403, { Origin: "null" }],
  ["a foreign Origin", 403, { Origin: "https://evil.example" }],
  ["a listed Origin", 200, { Origin: LISTED }],
  ["another listed Origin", 200, { Origin: "http://good.example:8080" }],
  ["a listed name on another port", 403, { Origin: `${LISTED}:8443` }],
  ["a listed name of another scheme", 403, { Origin: "http://good.example" }],
  ["a listed name in another case", 403, { Origin: "https://GOOD.example" }],
  ["a listed name before another", 403, { Origin: `${LISTED}.evil.example` }],
  ["a listed name after another", 403, { Origin: "https://evilgood.example" }],
  ["a path after a listed name", 403, { Origin: `${LISTED}/` }],
  ["two origins", 403, { Origin: `${LISTED} https://evil.example` }],
  ["a listed Referer", 403, { Referer: `${LISTED}/page` }],
  [
    "a Host that is the Origin's",
    403,
    { Origin: "https://evil.example", "X-Forwarded-Host": "evil.example" },
  ],
])("C14 a POST with a token in a cookie and %s is answered %i", async (_, status, headers) => {
  await expectCookiePost(server, status, headers);
});

test("C14 a POST with a token in a cookie comes from the server's own origin, not from another port of its host", async () => {
  const { port } = server;
  await expectCookiePost(server, 200, { Origin: server.url });
  await expectCookiePost(server, 403, { Origin: `http://127.0.0.1:${port + 1}` });
  await expectCookiePost(server, 403, { Origin: "http://127.0.0.1" });
  await expectCookiePost(server, 403, { Origin: `http://localhost:${port}` });
});

test("C14 SSE_CORS_ORIGIN=* lets no page post with a cookie but the server's own", async () => {
  await using everybody = await startJwtServer({ SSE_CORS_ORIGIN: "*", KAFKA_TOPICS: "orders" });
  await expectCookiePost(everybody, 403, { Origin: LISTED });
  await expectCookiePost(everybody, 403, { Origin: "*" });
  await expectCookiePost(everybody, 200, { Origin: everybody.url });
});

/** Posts with a cookie; an event is stored only where the answer is 200. The same with a header is nobody's forgery. */
async function expectCookiePost(
  { url }: LocalServer,
  status: number,
  headers: Settings,
): Promise<void> {
  const held = async (): Promise<string> =>
    (await fetch(`${url}/events/recent?limit=1`, { headers: bearer(ALL) })).text();
  const before = await held();
  const Cookie = `headgate_token=${hmacToken({ headgate: ALL })}`;
  const event = { topic: "orders", data: crypto.randomUUID() };
  const notification = { id: "p", status: "completed", target: "all" };
  const notify = (init: Settings): Promise<Response> =>
    fetch(`${url}/notifications/payment`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...init },
      body: JSON.stringify(notification),
    });
  expect((await publish(url, event, { Cookie, ...headers })).status).toBe(status);
  expect((await notify({ Cookie, ...headers })).status).toBe(status);
  if (status === 403) expect(await held()).toBe(before);
  else expect(await held()).not.toBe(before);
  // Reading changes nothing: CORS keeps the answer from the page.
  expect(await statusOf(`${url}/events`, { Cookie, ...headers })).toBe(200);
  expect((await publish(url, event, { ...bearer(ALL), ...headers })).status).toBe(200);
}
