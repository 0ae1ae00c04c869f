import { afterAll, beforeAll, expect, test } from "bun:test";
import { statusOf } from "./support/callers.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish, type Settings, startLocalServer } from "./support/server.ts";

const NAMES = ["userId=ann", "username=Ann", "clientId=till-7"];
const STREAMS = ["/events", "/stream", "/events/explain"];
const PAGES = ["/", "/metrics", "/kafka/status", "/openapi.json", "/health", "/livez", "/readyz"];
const NOTIFICATION = JSON.stringify({ id: "p", status: "completed", target: "all" });

let loopback: LocalServer;
/** On loopback, and known under another name. */
let named: LocalServer;
/** Reached over loopback here, and from everywhere. */
let everywhere: LocalServer;

beforeAll(async () => {
  loopback = await startLocalServer();
  named = await startLocalServer({ ALLOWED_HOSTS: "events.example,[2001:db8::1]" });
  everywhere = await startLocalServer({ HOST: "0.0.0.0" });
});

afterAll(async () => {
  for (const server of [loopback, named, everywhere]) await server[Symbol.asyncDispose]();
});

interface Rights {
  readonly mayRead: boolean;
  readonly mayPublish: boolean;
  readonly mayNameItself: boolean;
}

const LOCAL: Rights = { mayRead: true, mayPublish: true, mayNameItself: true };
const REMOTE: Rights = { mayRead: true, mayPublish: false, mayNameItself: false };
const NOBODY: Rights = { mayRead: false, mayPublish: false, mayNameItself: false };

/** Tries everything with these headers: each thing is allowed (200) or forbidden (403). */
async function expectRights(
  { port }: LocalServer,
  headers: Settings,
  rights: Rights,
): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  const answer = (isAllowed: boolean): number => (isAllowed ? 200 : 403);
  const expectAt = async (target: string, isAllowed: boolean): Promise<void> => {
    const status = await statusOf(`${url}${target}`, headers);
    expect([target, status]).toEqual([target, answer(isAllowed)]);
  };
  for (const path of [...STREAMS, "/events/recent", ...PAGES]) await expectAt(path, rights.mayRead);
  for (const path of STREAMS) {
    for (const name of NAMES) await expectAt(`${path}?${name}`, rights.mayNameItself);
  }
  const held = async (): Promise<string> =>
    (await fetch(`${url}/events/recent?limit=1`, { headers: { Host: "localhost" } })).text();
  const before = await held();
  const notify = fetch(`${url}/notifications/payment`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: NOTIFICATION,
  });
  expect((await notify).status).toBe(answer(rights.mayPublish));
  const published = await publish(url, { data: crypto.randomUUID() }, headers);
  expect(published.status).toBe(answer(rights.mayPublish));
  if (rights.mayPublish) expect(await held()).not.toBe(before);
  else expect(await held()).toBe(before);
}

test.each([
  "localhost",
  "LOCALHOST:3000",
  "127.0.0.1",
  "127.0.0.1:1",
  "127.1.2.3",
  "[::1]",
  "[::1]:3000",
  "app.localhost",
])("C13 a request to loopback for the Host %s may do everything", async (Host) => {
  await expectRights(loopback, { Host }, LOCAL);
});

test.each([
  "attacker.example",
  "attacker.example:3000",
  "localhost.attacker.example",
  "127.0.0.1.attacker.example",
  "localhostx",
  "xlocalhost",
  "127.0.0.1x",
  "127.0.0",
  "10.0.0.1",
  "0.0.0.0",
  "[::]",
  "[::2]",
  "192.168.0.1",
  "localhost@attacker.example",
  "attacker.example#localhost",
  "attacker.example, localhost",
  "localhost, attacker.example",
])("C13 a request to loopback for the Host %s may do nothing", async (Host) => {
  await expectRights(loopback, { Host }, NOBODY);
});

test("C13 a name of ALLOWED_HOSTS may read, and is no loopback name", async () => {
  for (const Host of ["events.example", "EVENTS.example:80", "[2001:db8::1]:3000"]) {
    await expectRights(named, { Host }, REMOTE);
  }
  for (const Host of ["a.events.example", "events.example.attacker.example", "attacker.example"]) {
    await expectRights(named, { Host }, NOBODY);
  }
  await expectRights(named, {}, LOCAL);
});

test("C13 off loopback any Host may read, or those of ALLOWED_HOSTS, and nobody publishes from it", async () => {
  for (const Host of ["localhost", "events.example"]) {
    await expectRights(everywhere, { Host }, REMOTE);
  }
  await using listed = await startLocalServer({ HOST: "0.0.0.0", ALLOWED_HOSTS: "events.example" });
  await expectRights(listed, { Host: "events.example" }, REMOTE);
  await expectRights(listed, { Host: "localhost" }, REMOTE);
  await expectRights(listed, { Host: "attacker.example" }, NOBODY);
});

test("C13 a request without a Host, or with two, does not publish", async () => {
  const body = '{"data":1}';
  const rest = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  for (const hosts of ["", "Host: \r\n", "Host: localhost\r\nHost: attacker.example\r\n"]) {
    const head = `POST /events HTTP/1.1\r\n${hosts}`;
    await using peer = await RawPeer.send(loopback.port, head + rest);
    await peer.answered();
    expect(peer.status).toBeOneOf([400, 403]);
  }
  await using old = await RawPeer.send(loopback.port, `POST /events HTTP/1.0\r\n${rest}`);
  await old.answered();
  expect(old.status).toBe(403);
});

/** What proxies add. */
const PROXIED = [
  ["Forwarded", "for=10.0.0.1"],
  ["Forwarded", "for=127.0.0.1;host=localhost"],
  ["forwarded", ""],
  ["X-Forwarded-For", "127.0.0.1"],
  ["X-Forwarded-For", ""],
  ["x-forwarded-host", "localhost"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Anything", "1"],
  ["X-FORWARDED-SSL", "on"],
  ["Via", "1.1 proxy"],
  ["VIA", ""],
] as const;

test.each(PROXIED)(
  "a request with %s: %p came through a proxy, and is not local",
  async (name, value) => {
    await expectRights(loopback, { [name]: value }, REMOTE);
  },
);

test("a proxy that is trusted counts addresses, and makes no request local", async () => {
  await using behind = await startLocalServer({ TRUSTED_PROXIES: "127.0.0.0/8,::1/128" });
  await expectRights(behind, { "X-Forwarded-For": "127.0.0.1" }, REMOTE);
  await expectRights(behind, { Forwarded: "for=127.0.0.1" }, REMOTE);
});

test("headers that are no proxy's leave a request local", async () => {
  await expectRights(loopback, { Forward: "1", "X-Forwarded": "1" }, LOCAL);
});

test("ALLOW_ANONYMOUS_PUBLISH allows publishing from anywhere, and not naming oneself", async () => {
  const ALLOW_ANONYMOUS_PUBLISH = "true";
  await using here = await startLocalServer({ ALLOW_ANONYMOUS_PUBLISH });
  await using there = await startLocalServer({ ALLOW_ANONYMOUS_PUBLISH, HOST: "0.0.0.0" });
  const rights = { ...REMOTE, mayPublish: true };
  for (const [name, value] of PROXIED) await expectRights(here, { [name]: value }, rights);
  await expectRights(there, {}, rights);
  await expectRights(here, {}, LOCAL);
  // It is no way around DNS rebinding.
  await expectRights(here, { Host: "attacker.example" }, NOBODY);
});

test("ALLOW_ANONYMOUS_USERS allows naming oneself from anywhere, and not publishing", async () => {
  const ALLOW_ANONYMOUS_USERS = "true";
  await using here = await startLocalServer({ ALLOW_ANONYMOUS_USERS });
  await using there = await startLocalServer({ ALLOW_ANONYMOUS_USERS, HOST: "0.0.0.0" });
  const rights = { ...REMOTE, mayNameItself: true };
  for (const [name, value] of PROXIED) await expectRights(here, { [name]: value }, rights);
  await expectRights(there, {}, rights);
  await expectRights(here, {}, LOCAL);
  await expectRights(here, { Host: "attacker.example" }, NOBODY);
});

test("with AUTH=jwt neither loopback nor the two settings let anybody in without a token", async () => {
  await using locked = await startLocalServer({
    AUTH: "jwt",
    JWT_SECRET: "a secret of this test that is long enough",
    ALLOW_ANONYMOUS_PUBLISH: "true",
    ALLOW_ANONYMOUS_USERS: "true",
  });
  for (const target of ["/events", "/events?userId=ann", "/events/recent", "/metrics"]) {
    expect(await statusOf(`${locked.url}${target}`)).toBe(401);
  }
  expect((await publish(locked.url, { data: 1 })).status).toBe(401);
  expect(await statusOf(`${locked.url}/events`, { Host: "attacker.example" })).toBe(403);
});

test("C13 an IPv6 loopback bind is local for IPv6 peers", async () => {
  await using server = await startLocalServer({ HOST: "::1" });
  const url = `http://[::1]:${server.port}`;
  expect((await publish(url, { data: 1 })).status).toBe(200);
  expect((await publish(url, { data: 1 }, { Host: "attacker.example" })).status).toBe(403);
  expect((await publish(url, { data: 1 }, { Via: "1.1 proxy" })).status).toBe(403);
});

test("C13 C14 a page of another machine may read where SSE_CORS_ORIGIN is *, and is nobody of this machine", async () => {
  await using open = await startLocalServer({ SSE_CORS_ORIGIN: "*" });
  await using listing = await startLocalServer({ SSE_CORS_ORIGIN: "https://app.example" });
  for (const origin of ["https://evil.example", "null", "http://localhost.evil.example"]) {
    await expectRights(open, { Origin: origin }, REMOTE);
    await expectRights(listing, { Origin: origin }, REMOTE);
  }
  for (const origin of ["http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:8080"]) {
    await expectRights(open, { Origin: origin }, LOCAL);
  }
  await expectRights(listing, { Origin: "https://app.example" }, LOCAL);
});
