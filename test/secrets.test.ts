import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { until } from "./support/feed.ts";
import { canMount, mountDisk } from "./support/disk.ts";
import { SecretWatch } from "./support/secret-watch.ts";
import { type ServerProcess, type Settings, spawnServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { inSeconds, makeKeyPair, sign, signText } from "./support/tokens.ts";

setDefaultTimeout(30_000);

/** In every token, where nothing has to read it. */
const CLAIM = "claimMarker5d1f8c";
/** In the data of every event. */
const PAYLOAD = "payloadMarker9b27e4";
const IDEMPOTENCY_KEY = "idempotencyMarker31c0aa";
const SECRET = "jwtSecretMarker77f02bAndMoreOfIt";

const JSON_TYPE = { "Content-Type": "application/json" };
const GRANTS = { subscribe: ["*"], publish: ["events"], channels: ["a"], status: true };

function payloadOf(claims: object = {}): string {
  const note = `${CLAIM}-${crypto.randomUUID()}`;
  return JSON.stringify({ sub: "u1", note, exp: inSeconds(3600), headgate: GRANTS, ...claims });
}

/** Tokens that are accepted, and that are refused for every reason. */
function tokens(): { good: string; bad: string[] } {
  const alg = '{"alg":"HS256"}';
  const good = signText(alg, payloadOf(), SECRET);
  const signed = (claims: object): string => signText(alg, payloadOf(claims), SECRET);
  const bad = [
    signText(alg, payloadOf(), `${SECRET} of another`),
    signText('{"alg":"none"}', payloadOf(), SECRET),
    signText('{"alg":"RS256","kid":"kid-1"}', payloadOf(), SECRET),
    signText('{"alg":"HS256","crit":["exp"]}', payloadOf(), SECRET),
    signText(`{"alg":"HS256","kid":${JSON.stringify(CLAIM)}`, payloadOf(), SECRET),
    signText(alg, `not JSON ${CLAIM} ${crypto.randomUUID()}`, SECRET),
    signed({ exp: inSeconds(-100) }),
    signed({ exp: undefined }),
    signed({ exp: CLAIM }),
    signed({ nbf: inSeconds(1000) }),
    signed({ sub: `${CLAIM}\n` }),
    signed({ headgate: { subscribe: CLAIM } }),
    signed({ headgate: { subscribe: [{ [CLAIM]: 1 }], client: `${CLAIM} !` } }),
    good.slice(0, -2),
    good.slice(0, good.lastIndexOf(".")),
    `${good}.${good}`,
    `${good}${"A".repeat(9000)}`,
  ];
  return { good, bad };
}

/** What is published: well, and wrong in many ways. Each body has its own data. */
function bodies(): [target: string, body: string, headers?: Settings][] {
  const data = `${PAYLOAD}_${crypto.randomUUID()}`;
  const cloud = { specversion: "1.0", id: "1", source: "/", type: "t", data };
  const ce = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "t" };
  const binary = (headers: Settings): Settings => ({ "Content-Type": "text/plain", ...headers });
  const lines = { "Content-Type": "application/x-ndjson" };
  return [
    ["/events", JSON.stringify({ data })],
    ["/events", JSON.stringify({ data, key: "k" }), { "Idempotency-Key": IDEMPOTENCY_KEY }],
    ["/events", JSON.stringify({ data, key: "k" }), { "Idempotency-Key": IDEMPOTENCY_KEY }],
    ["/events", JSON.stringify({ data }), { "Idempotency-Key": IDEMPOTENCY_KEY.repeat(10) }],
    ["/events", JSON.stringify({ data, to: { user: "u1" } })],
    ["/events", JSON.stringify([{ data }, { data, type: "close" }])],
    ["/events", JSON.stringify({ data, topic: "others" })],
    ["/events", JSON.stringify({ data, to: { channel: "b" } })],
    ["/events", JSON.stringify({ data, unknown: data })],
    ["/events", JSON.stringify({ data, key: [data] })],
    ["/events", JSON.stringify({ data, headers: { type: "t" } })],
    ["/events", JSON.stringify({ data: data.repeat(2000) })],
    ["/events", JSON.stringify({ data: data.repeat(20_000) })],
    ["/events", JSON.stringify(data)],
    ["/events", JSON.stringify([data])],
    ["/events", `{"data":${data}}`],
    ["/events", `{"data":"${data}`],
    ["/events", `{"data":"${data}\n"}`],
    ["/events", `{"data":"\\u${data}"}`],
    ["/events", `{"data":1,"${data}":}`],
    ["/events", data],
    ["/events", `{"data":1}${data}`],
    ["/events", `${"[".repeat(50_000)}"${data}"`],
    ["/events", data, { "Content-Type": "text/plain" }],
    ["/events", `data=${data}`, { "Content-Type": "application/x-www-form-urlencoded" }],
    ["/events", `{"data":1}\n${data}\n`, lines],
    ["/events", `{"data":"${data}"}\n{"data":${data}}\n`, lines],
    ["/events", JSON.stringify(cloud), { "Content-Type": "application/cloudevents+json" }],
    ["/events", `{"data":${data}}`, { "Content-Type": "application/cloudevents+json" }],
    [
      "/events",
      JSON.stringify({ ...cloud, data_base64: data }),
      { "Content-Type": "application/cloudevents+json" },
    ],
    [
      "/events",
      JSON.stringify({ ...cloud, id: undefined, data_base64: data, data: undefined }),
      { "Content-Type": "application/cloudevents+json" },
    ],
    ["/events", `[{"data":${data}}]`, { "Content-Type": "application/cloudevents-batch+json" }],
    ["/events", data, binary(ce)],
    ["/events", data, binary({ ...ce, "ce-specversion": "2.0" })],
    [
      "/notifications/payment",
      JSON.stringify({ id: "p", status: "completed", target: "all", note: data }),
    ],
    ["/notifications/payment", `{"id":${data}}`],
    ["/notifications/nothing", JSON.stringify({ id: "p", note: data })],
  ];
}

const READING = [
  "/events",
  "/stream?types=x",
  "/events/recent",
  "/events/explain",
  "/events/events/0/0",
];
const OTHERS = [
  "/metrics",
  "/kafka/status",
  "/",
  "/openapi.json",
  "/health",
  "/nothing",
  "/events?topics=others",
  "/events?channels=b",
  "/events?userId=b",
  "/events?since=x",
];

test("C8 no part of a token, of the secret or of a payload is in a log, a metric, an error or a header", async () => {
  const watch = new SecretWatch({ claim: CLAIM, payload: PAYLOAD });
  watch.hide(SECRET);
  const { good, bad } = tokens();
  await using server = await startServer({
    LOG_LEVEL: "trace",
    AUTH: "jwt",
    JWT_SECRET: SECRET,
    SSE_ALLOW_QUERY_TOKEN: "true",
    SSE_CORS_ORIGIN: "https://app.example",
    SSE_MAX_EVENT_BYTES: "40000",
    SSE_MAX_BODY_BYTES: "200000",
    KAFKA_TOPICS: "events,others",
  });
  const at = (target: string): string => `${server.url}${target}`;
  for (const target of [...READING, ...OTHERS]) await watch.askWith(good, at(target));
  for (const token of bad) {
    for (const target of ["/events", "/events/recent", "/metrics"])
      await watch.askWith(token, at(target));
  }
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]) {
    await watch.askWith(good, at("/events"), { method });
  }
  const Origin = "https://app.example";
  for (const [target, body, headers] of bodies()) {
    const init = { method: "POST", body, headers: { Origin, ...headers } };
    await watch.askWith(good, at(target), init);
    await watch.ask(at(target), init);
  }
  const [wrong = ""] = bad;
  await watch.askWith(wrong, at("/events"), { method: "POST", body: `{"data":"${PAYLOAD}"}` });
  await watch.ask(at("/metrics"), { headers: { Authorization: `Bearer ${good}` } });
  expect(watch.statuses).toEqual(new Set([200, 204, 400, 401, 403, 404, 405, 413, 415, 422]));
  await expectCleanEnd(server, watch);
});

test("C7 C8 nor while the keys and Kafka are away", async () => {
  const watch = new SecretWatch({ claim: CLAIM, payload: PAYLOAD });
  watch.hide(SECRET);
  const [known, unknown] = [makeKeyPair("ES256"), makeKeyPair("ES256")];
  const endpoint = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json({ keys: [{ ...known.publicJwk, kid: "1" }] }),
  });
  await using server = spawnServer({
    LOG_LEVEL: "trace",
    AUTH: "jwt",
    JWT_JWKS_URL: `${endpoint.url.href}keys`,
    JWT_AUDIENCE: "tests",
    SSE_ALLOW_QUERY_TOKEN: "true",
    PUBLISH_TIMEOUT: "200",
    // Nothing listens there.
    KAFKA_BROKERS: "127.0.0.1:1",
    SHUTDOWN_GRACE: "100",
  });
  const address = (): string => /curl -N (http:\S+)\/events/.exec(server.stderr())?.[1] ?? "";
  await until(() => address() !== "", { describe: server.stderr });
  const at = (target: string): string => `${address()}${target}`;
  const claims = { note: CLAIM, aud: "tests", headgate: GRANTS };
  const good = await sign(known, claims, { kid: "1" });
  await watch.askWith(good, at("/events"));
  await endpoint.stop(true);
  const stranger = await sign(unknown, { ...claims, jti: "2" }, { kid: "2" });
  for (const target of [...READING, ...OTHERS]) {
    await watch.askWith(good, at(target));
    await watch.askWith(stranger, at(target));
  }
  for (const [target, body, headers] of bodies().slice(0, 3)) {
    const init = { method: "POST", body, headers: { ...headers } };
    await watch.askWith(good, at(target), init);
    await watch.askWith(stranger, at(target), init);
  }
  expect([...watch.statuses]).toContain(503);
  await expectCleanEnd(server, watch, ["request could not be served", "kafka"]);
});

test.skipIf(!canMount())("C8 nor where the disk is full", async () => {
  const watch = new SecretWatch({ claim: CLAIM, payload: PAYLOAD });
  watch.hide(SECRET);
  using directory = temporaryDirectory();
  using _disk = mountDisk(directory.path, "1m");
  await using server = await startServer({
    LOG_LEVEL: "trace",
    AUTH: "jwt",
    JWT_SECRET: SECRET,
    DATA_DIR: join(directory.path, "data"),
    SHUTDOWN_GRACE: "100",
  });
  const { good } = tokens();
  const headers = { ...JSON_TYPE, Authorization: `Bearer ${watch.hide(good)}` };
  const body = JSON.stringify({ data: PAYLOAD.repeat(2000) });
  await until(async () => {
    const response = await watch.ask(`${server.url}/events`, { method: "POST", headers, body });
    return response.status === 503;
  });
  await expectCleanEnd(server, watch, ["request could not be served"]);
});

/** Stops the server; then nothing that is hidden may be in anything that it said. */
async function expectCleanEnd(
  server: Pick<ServerProcess, "kill" | "exited" | "stdout" | "stderr">,
  watch: SecretWatch,
  said: readonly string[] = [],
): Promise<void> {
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  for (const words of ["server is stopping", ...said]) expect(server.stdout()).toInclude(words);
  expect(watch.answers.length).toBeGreaterThan(20);
  expect(watch.leaks(server.stdout(), server.stderr())).toEqual([]);
  for (const log of [server.stdout(), server.stderr()]) expect(log).not.toInclude(IDEMPOTENCY_KEY);
}
