import { afterAll, beforeAll, expect, test } from "bun:test";
import { ALL, bearer, startJwtServer, statusOf } from "./support/callers.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";
import { hmacToken, inSeconds } from "./support/tokens.ts";

const GOOD = { headgate: ALL };
/** What takes a token, in the query too. */
const PATHS = ["/events", "/stream", "/events/recent", "/events/explain", "/metrics"];

let server: LocalServer;
let withQuery: LocalServer;

beforeAll(async () => {
  server = await startJwtServer();
  withQuery = await startJwtServer({ SSE_ALLOW_QUERY_TOKEN: "true" });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await withQuery[Symbol.asyncDispose]();
});

test.each<[string, number, (token: string) => string]>([
  ["Bearer", 200, (token) => `Bearer ${token}`],
  ["bearer in lower case", 200, (token) => `bearer ${token}`],
  ["BEARER in upper case", 200, (token) => `BEARER ${token}`],
  ["several spaces after the scheme", 200, (token) => `Bearer   ${token}`],
  ["no scheme", 401, (token) => token],
  ["no token", 401, () => "Bearer"],
  ["another scheme", 401, (token) => `Basic ${token}`],
  ["a longer scheme", 401, (token) => `Bearers ${token}`],
  ["a space in the token", 401, (token) => `Bearer ${token.replace(".", ". ")}`],
  ["a tab before the token", 401, (token) => `Bearer\t${token}`],
  ["two tokens", 401, (token) => `Bearer ${token} ${token}`],
  ["two tokens and a comma", 401, (token) => `Bearer ${token}, Bearer ${token}`],
  ["a quoted token", 401, (token) => `Bearer "${token}"`],
  ["a JWE", 401, (token) => `Bearer ${token}.AAAA.AAAA`],
  ["a token of 10 KB", 401, (token) => `Bearer ${token}${"A".repeat(10_000)}`],
  ["padding", 401, (token) => `Bearer ${token}=`],
  ["a character more", 401, (token) => `Bearer ${token}A`],
])("C9 an Authorization header with %s is answered %i", async (_, status, header) => {
  const token = hmacToken(GOOD);
  const answered = await statusOf(`${server.url}/events/recent`, {
    Authorization: header(token),
  });
  expect(answered).toBe(status);
});

test("C9 two Authorization headers are refused, in whatever order the good one comes", async () => {
  const good = `Authorization: ${bearer(ALL).Authorization}\r\n`;
  const bad = "Authorization: Bearer a.b.c\r\n";
  for (const headers of [good + bad, bad + good, good + good]) {
    await using peer = await RawPeer.subscribe(server.port, "/events", headers);
    expect(peer.status).toBe(401);
  }
});

test("C9 a token of 100 KB is refused, and the server goes on", async () => {
  const header = `Authorization: Bearer ${hmacToken(GOOD)}${"A".repeat(100_000)}\r\n`;
  await using peer = await RawPeer.subscribe(server.port, "/events", header);
  expect(peer.status).toBeOneOf([401, 431]);
  expect(await statusOf(`${server.url}/events/recent`, bearer(ALL))).toBe(200);
});

test("C9 a cookie carries a token, and a doubled or a foreign one does not", async () => {
  const token = hmacToken(GOOD);
  const own = `headgate_token=${token}`;
  const cookies: [string, number][] = [
    [own, 200],
    [`a=b; ${own}; c=d`, 200],
    [`${own}; ${own}`, 401],
    [`headgate_token=x; ${own}`, 401],
    [`xheadgate_token=${token}`, 401],
    [`Headgate_Token=${token}`, 401],
    [`token=${token}`, 401],
    [`headgate_token="${token}"`, 401],
    ["headgate_token=", 401],
  ];
  for (const [cookie, status] of cookies) {
    const answered = await statusOf(`${server.url}/events/recent`, { Cookie: cookie });
    expect([cookie, answered]).toEqual([cookie, status]);
  }
});

test("C9 a bad token is not mended by a good one that travels another way", async () => {
  const good = hmacToken(GOOD);
  const bad = hmacToken({ ...GOOD, exp: inSeconds(-100) });
  const target = `${server.url}/events/recent`;
  const headers = { Authorization: `Bearer ${bad}`, Cookie: `headgate_token=${good}` };
  expect(await statusOf(target, headers)).toBe(401);
  const inQuery = `${withQuery.url}/events/recent?token=`;
  expect(await statusOf(inQuery + good, { Authorization: `Bearer ${bad}` })).toBe(401);
  expect(await statusOf(inQuery + bad, { Cookie: `headgate_token=${good}` })).toBe(401);
});

test("C8 a token in the query is refused where it is not allowed, even beside a good header", async () => {
  const token = hmacToken(GOOD);
  const names = ["token", "%74oken", "t%6Fken", "%74%6f%6b%65%6e"];
  for (const path of PATHS) {
    for (const name of names) {
      const url = `${server.url}${path}?${name}=${token}`;
      expect([url, await statusOf(url)]).toEqual([url, 401]);
      expect(await statusOf(url, bearer(ALL))).toBe(401);
    }
  }
  await using open = await startLocalServer();
  expect(await statusOf(`${open.url}/events?token=${token}`)).toBe(401);
});

test("C8 a token in the query is accepted where SSE_ALLOW_QUERY_TOKEN allows it, once", async () => {
  const token = hmacToken(GOOD);
  for (const path of PATHS) {
    const url = `${withQuery.url}${path}`;
    expect([path, await statusOf(`${url}?token=${token}`)]).toEqual([path, 200]);
    expect(await statusOf(`${url}?token=${token}&token=${token}`)).toBe(401);
    expect(await statusOf(`${url}?token=`)).toBe(401);
    expect(await statusOf(url)).toBe(401);
  }
});
