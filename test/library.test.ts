import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { createHeadgate, type Headgate } from "../src/headgate.ts";
import type { HeadgateOptions } from "../src/options.ts";
import { createLogger } from "../src/logger.ts";
import { publish } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { refusal } from "./support/tokens.ts";

setDefaultTimeout(20_000);

const running = new Set<Headgate>();

afterEach(async () => {
  await Promise.all([...running].map((headgate) => headgate.stop()));
  running.clear();
});

/** A server that the test's end stops; quiet, on a free port, in memory unless the options say otherwise. */
function make(options: HeadgateOptions = {}): Headgate {
  const defaults = { port: 0, dataDir: ":memory:", logLevel: "silent", shutdownGraceMs: 0 };
  const headgate = createHeadgate({ ...defaults, ...options });
  running.add(headgate);
  return headgate;
}

async function started(options?: HeadgateOptions): Promise<Headgate> {
  const headgate = make(options);
  await headgate.start();
  return headgate;
}

const codeOf = async (attempt: () => unknown): Promise<string> => (await refusal(attempt)).code;

/** Everything that a server does. */
const CALLS: readonly ((headgate: Headgate) => unknown)[] = [
  ({ url }) => url,
  ({ ready }) => ready,
  (headgate) => headgate.publish({ data: 1 }),
  (headgate) => headgate.publishRecords([]),
  (headgate) => headgate.broadcast(1),
  (headgate) => headgate.sendToUser("ann", 1),
  (headgate) => headgate.sendToClient("till", 1),
  (headgate) => headgate.sendToChannel("news", 1),
  (headgate) => headgate.sendJobNotification("j", "queued", {}, "all"),
  (headgate) => headgate.connections(),
];

test("before its start and after its stop a server does nothing, and says so", async () => {
  const headgate = make();
  expect(headgate.config.topics).toEqual(["events"]);
  for (const call of CALLS) expect(await codeOf(() => call(headgate))).toBe("not-ready");
  await headgate.stop();
  await headgate.start();
  for (const call of CALLS) await call(headgate);
  await headgate.stop();
  for (const call of CALLS) expect(await codeOf(() => call(headgate))).toBe("not-ready");
});

test("start listens, and is done once however often it is asked for", async () => {
  const headgate = make();
  await Promise.all([headgate.start(), headgate.start()]);
  const { url } = headgate;
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  await headgate.start();
  expect(headgate.url).toBe(url);
  await headgate.ready;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test("stop closes every stream, lets the port go, and is over when nothing is left", async () => {
  const headgate = await started({ shutdownGraceMs: 1000 });
  const { url } = headgate;
  await using subscriber = await TestSubscriber.live(url);
  const first = headgate.stop();
  await headgate.stop();
  expect(await fetch(url).catch(() => "refused")).toBe("refused");
  await first;
  await subscriber.ended();
  expect(subscriber.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
  const again = await started({ port: Number(new URL(url).port) });
  expect(again.url).toBe(url);
});

test("a server that is stopped while it starts is stopped", async () => {
  const headgate = make();
  const starting = headgate.start();
  await headgate.stop();
  await starting;
  expect(await codeOf(() => headgate.url)).toBe("not-ready");
  await headgate.start();
  expect((await fetch(`${headgate.url}/health`)).status).toBe(200);
});

test("a server that starts again goes on with what its DATA_DIR holds, and its ids", async () => {
  using directory = temporaryDirectory();
  const headgate = await started({ dataDir: directory.path });
  await headgate.publish([{ data: 1 }, { data: 2 }]);
  await using first = await TestSubscriber.live(headgate.url, "/events?recent=2");
  // Not awaited: a start waits for a stop that is under way.
  const stopped = headgate.stop();
  await headgate.start();
  await stopped;
  await headgate.publish({ data: 3 });
  await using resumed = await TestSubscriber.live(headgate.url, "/events", {
    lastEventId: first.records[0]?.id ?? "",
  });
  expect(resumed.records.map(({ data }) => data)).toEqual(["2", "3"]);
});

test("a server that is not enabled starts nothing", async () => {
  const headgate = make({ enabled: false });
  await headgate.start();
  expect(await codeOf(() => headgate.url)).toBe("not-ready");
  await headgate.stop();
});

test("a port that is taken is told, and nothing is kept: the same server starts once it is free", async () => {
  using directory = temporaryDirectory();
  const first = await started();
  const port = Number(new URL(first.url).port);
  const second = make({ port, dataDir: directory.path });
  for (let i = 0; i < 2; i += 1) {
    const { code, message } = await refusal(() => second.start());
    expect(code).toBe("configuration");
    expect(message).toInclude(`Cannot listen on 127.0.0.1:${port}`);
    expect(message).toInclude("PORT");
    expect(await codeOf(() => second.url)).toBe("not-ready");
  }
  await first.stop();
  await second.start();
  await second.publish({ data: 1 });
  expect((await fetch(`${second.url}/events/recent`)).status).toBe(200);
});

test("a DATA_DIR that another server has is refused, also in one process, and can be had later", async () => {
  using directory = temporaryDirectory();
  const first = await started({ dataDir: directory.path });
  const second = make({ dataDir: directory.path });
  expect(await codeOf(() => second.start())).toBe("data-dir-locked");
  await first.publish({ data: 1 });
  await first.stop();
  await second.start();
  await using subscriber = await TestSubscriber.live(second.url, "/events?recent=1");
  expect(subscriber.records).toHaveLength(1);
});

test("a process whose servers have stopped, or could not start, ends by itself", async () => {
  const script = `
    import { createHeadgate } from ${JSON.stringify(join(import.meta.dir, "../src/headgate.ts"))};
    const options = { dataDir: ":memory:", logLevel: "silent" };
    const first = createHeadgate({ ...options, port: 0, shutdownGraceMs: 60_000 });
    await first.start();
    const second = createHeadgate({ ...options, port: Number(new URL(first.url).port) });
    const code = await second.start().catch((error) => error.code);
    await first.stop();
    console.log(code);
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  const killer = setTimeout(() => child.kill(), 10_000);
  expect(await child.stderr.text()).toBe("");
  expect(await child.stdout.text()).toBe("configuration\n");
  expect([await child.exited, child.signalCode]).toEqual([0, null]);
  clearTimeout(killer);
});

test("two servers in one process share nothing", async () => {
  const [one, other] = await Promise.all([
    started({ topics: ["a", "both"] }),
    started({ topics: ["b", "both"] }),
  ]);
  await using ofOne = await TestSubscriber.live(one.url);
  await using ofOther = await TestSubscriber.live(other.url);
  expect(await one.broadcast("one", { topic: "both" })).toBe(1);
  expect(await other.broadcast("other", { topic: "both" })).toBe(1);
  expect((await ofOne.recordsUpTo(1)).map(({ data }) => data)).toEqual(['"one"']);
  expect((await ofOther.recordsUpTo(1)).map(({ data }) => data)).toEqual(['"other"']);
  expect(await codeOf(() => one.broadcast(1, { topic: "b" }))).toBe("topic-not-found");
  // Another topic of the same name: the tags tell.
  await using moved = await TestSubscriber.live(other.url, "/events?topics=both", {
    lastEventId: ofOne.lastEventId,
  });
  expect(JSON.parse(moved.named("reset")[0]?.data ?? "")).toMatchObject({ reason: "recreated" });
  const metrics = await (await fetch(`${one.url}/metrics`)).text();
  expect(metrics).toInclude('headgate_published_total{result="ok"} 1\n');
  await one.stop();
  expect(await other.broadcast("still", { topic: "both" })).toBe(2);
});

test("the log lines of a server go to the logger that it was given", async () => {
  const lines: unknown[] = [];
  const logger = createLogger("info");
  // pino writes by this stream.
  const stream = Object.getOwnPropertySymbols(logger).find(
    ({ description }) => description === "pino.stream",
  );
  Object.assign(logger, {
    [stream ?? ""]: { write: (line: string) => lines.push(JSON.parse(line)) },
  });
  const headgate = createHeadgate({ port: 0, dataDir: ":memory:", shutdownGraceMs: 0 }, logger);
  running.add(headgate);
  await headgate.start();
  await headgate.ready;
  expect(lines).toContainEqual(expect.objectContaining({ msg: "server is ready" }));
});

test.each([
  [{ heartbeatMs: 0 }, ["SSE_HEARTBEAT_INTERVAL", '"0"']],
  [{ topics: ["a", "__b"] }, ["KAFKA_TOPICS", "__b"]],
  [{ defaultTopic: "none" }, ["SSE_DEFAULT_TOPIC", '"none"', "events"]],
  [{ auth: "jwt" as const }, ["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL"]],
  [{ corsOrigin: ["*", "https://a.example"] }, ["SSE_CORS_ORIGIN", "*"]],
  [{ environment: { SSE_HEARTBEET: "1" } }, ["SSE_HEARTBEET", "SSE_HEARTBEAT_INTERVAL"]],
  [{ heartbeatMs: -1, port: 1.5 }, ["SSE_HEARTBEAT_INTERVAL", "PORT", '"1.5"']],
])("G10 the options %j are refused, with each variable and its value", (options, words) => {
  expect(() => createHeadgate(options)).toThrow(expect.objectContaining({ code: "configuration" }));
  for (const word of words) expect(() => createHeadgate(options)).toThrow(word);
});

test("an option that does not exist is refused, with the closest variable; a secret in it is not shown", () => {
  const attempt = (options: object) => (): Headgate => createHeadgate(options);
  expect(attempt({ heartbeatsMs: 5 })).toThrow("the closest is SSE_HEARTBEAT_INTERVAL");
  expect(attempt({ maxConnection: 5 })).toThrow("the closest is SSE_MAX_CONNECTIONS");
  expect(attempt({ kafkaTopic: "a" })).toThrow("the closest is KAFKA_TOPICS");
  expect(attempt({ toString: 5 })).toThrow("there is no such variable");
  for (const name of ["jwtSecrets", "kafkaSaslPasword", "KafkaSaslPasswrd", "tlskey"]) {
    expect(attempt({ [name]: "hunter2" })).toThrow("there is no such variable");
    expect(attempt({ [name]: "hunter2" })).not.toThrow("hunter2");
  }
});

test("nothing of the process's environment is read but what is passed", async () => {
  process.env["KAFKA_TOPICS"] = "of-the-process";
  try {
    expect(make().config.topics).toEqual(["events"]);
    expect(make({ environment: process.env }).config.topics).toEqual(["of-the-process"]);
    const { config } = make({ environment: process.env, topics: ["of-the-option"] });
    expect(config.topics).toEqual(["of-the-option"]);
  } finally {
    delete process.env["KAFKA_TOPICS"];
  }
});

test("what the library and requests publish are one: the same order, the same rules but the sender's rights", async () => {
  const headgate = await started({ auth: "jwt", jwtSecret: "x".repeat(40) });
  expect((await publish(headgate.url, { data: 1 })).status).toBe(401);
  expect(await headgate.publish({ data: 1, to: { channel: "any" } })).toMatchObject({
    published: 1,
    receivers: 0,
  });
});
