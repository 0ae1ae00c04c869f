import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "./support/feed.ts";
import { publish, type ServerProcess, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(20_000);

interface Line {
  readonly level: number;
  readonly time: number;
  readonly msg: string;
  readonly requestId?: string;
  readonly path?: string;
  readonly reason?: string;
}

function linesOf(server: ServerProcess): Line[] {
  return server
    .stdout()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** Opens a stream, publishes what it gets, is refused something, and leaves. */
async function use(server: ServerProcess): Promise<void> {
  await using subscriber = await TestSubscriber.live(server.url);
  for (let i = 0; i < 20; i += 1) await publish(server.url, { data: `payload-${i}` });
  await subscriber.recordsUpTo(20);
  expect((await fetch(`${server.url}/nothing`)).status).toBe(404);
  expect((await fetch(`${server.url}/events/recent?token=query-secret`)).status).toBe(401);
}

describe("at info", () => {
  test("a server's life is one JSON line a step, and its work none", async () => {
    await using server = await startServer({ SSE_MAX_CONNECTIONS: "100" });
    await use(server);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    const lines = linesOf(server);
    expect(lines.map(({ msg }) => msg)).toEqual([
      "server is starting",
      "server is listening",
      "server is ready",
      "process is asked to stop",
      "server is stopping",
      "server has stopped",
    ]);
    expect(lines.every(({ level, time }) => level === 30 && time > 1e12)).toBe(true);
  });

  test("nothing is written with SSE_ENABLE_LOGGING=false", async () => {
    await using server = await startServer({ SSE_ENABLE_LOGGING: "false", LOG_LEVEL: "trace" });
    await use(server);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(server.stdout()).toBe("");
  });
});

describe("at debug", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer({ LOG_LEVEL: "debug" });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test("each request has a line under the id that its answer names", async () => {
    const given = { "X-Request-Id": "from-the-proxy-1" };
    const known = await fetch(`${server.url}/health`, { headers: given });
    const made = await fetch(`${server.url}/nothing?data=query-secret`);
    expect(known.headers.get("x-request-id")).toBe("from-the-proxy-1");
    const id = made.headers.get("x-request-id") ?? "";
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    await until(() => server.stdout().includes(id));
    const isOurs = ({ requestId = "" }: Line): boolean =>
      [id, "from-the-proxy-1"].includes(requestId);
    expect(linesOf(server).filter(isOurs)).toMatchObject([
      { requestId: "from-the-proxy-1", path: '"/health"', status: 200, msg: "request answered" },
      { requestId: id, path: '"/nothing"', status: 404, msg: "request answered" },
    ]);
  });

  test("a stream's end has one too, and no line holds payloads, tokens or queries", async () => {
    await use(server);
    await until(() => linesOf(server).some(({ msg }) => msg === "stream ended"));
    const ended = linesOf(server).find(({ msg }) => msg === "stream ended");
    const opened = linesOf(server).find(
      ({ requestId, msg }) => requestId === ended?.requestId && msg === "request answered",
    );
    expect(ended?.reason).toBe("client");
    expect(opened?.path).toBe('"/events"');
    expect(server.stdout()).not.toContain("secret");
    expect(server.stdout()).not.toContain("payload-");
  });
});
