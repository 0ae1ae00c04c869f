import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { goPrograms, isThere, nodeProgram, pythonProgram } from "./other-clients/clients.ts";
import { CutProxy } from "./support/cut-proxy.ts";
import { goAvailable } from "./support/go.ts";
import { ClientProgram } from "./support/other-client.ts";
import { pipAvailable } from "./support/pip-packages.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";

/*
 * What other people's clients do where nobody tells them better. Each of these is why the program of
 * that client in other-clients/ sets what it sets; a test that fails here means that it need not any more.
 */

setDefaultTimeout(120_000);

function publish(server: LocalServer, value: string): Promise<unknown> {
  return server.headgate.publishRecords([
    { topic: "events", key: null, value: Buffer.from(value), headers: [] },
  ]);
}

describe.skipIf(!isThere("node"))("eventsource on Node", () => {
  test("a program that only reads ends when the stream ends, without an error", async () => {
    const server = await startLocalServer();
    const { command } = nodeProgram("eventsource.mjs");
    await using client = new ClientProgram([...command, `${server.url}/events`, "live", "default"]);
    await client.shown.nth("live", 1);
    await server[Symbol.asyncDispose]();
    expect(await client.ended()).toEqual({ code: 0, stderr: "" });
  });
});

describe.skipIf(!pipAvailable())("httpx-sse", () => {
  test("a stream that is quiet for 5 s is given up", async () => {
    await using server = await startLocalServer({ SSE_RETRY_MS: "100" });
    const { command, env = {} } = await pythonProgram("httpx_sse_client.py");
    const args = [...command, `${server.url}/events`, "default"];
    await using client = new ClientProgram(args, { env });
    await client.shown.nth("connection", 2);
    // Nothing is lost by it: it comes back with its id.
    const [first, second] = client.shown.named("connection");
    expect(JSON.parse(second?.data ?? "")).toMatchObject({ resumed: true });
    expect(second?.id).toBe(first?.id ?? "");
  });
});

describe.skipIf(!goAvailable())("in Go", () => {
  let programs: Awaited<ReturnType<typeof goPrograms>>;

  beforeAll(async () => {
    programs = await goPrograms();
  });

  afterAll(() => programs[Symbol.asyncDispose]());

  const start = (name: string, url: string): ClientProgram =>
    new ClientProgram([programs.command(name), `${url}/events`, "default"]);

  test.each(["go-sse", "r3labs"])(
    "%s comes back for an event of more than 64 KiB again and again, and never gets past it",
    async (name) => {
      await using server = await startLocalServer({ SSE_RETRY_MS: "100" });
      await using client = start(name, server.url);
      await client.shown.nth("live", 1);
      await publish(server, "before");
      await client.shown.recordsUpTo(1);
      await publish(server, "x".repeat(70_000));
      await publish(server, "behind");
      await client.shown.nth("connection", 3);
      expect(client.shown.records.map(({ data }) => data)).toEqual(["before"]);
    },
  );

  test("r3labs shows what there is of an event that was cut, and never gets the rest of it", async () => {
    await using server = await startLocalServer();
    await using proxy = await CutProxy.start(server.port);
    await using client = start("r3labs", proxy.url);
    await client.shown.nth("live", 1);
    const long = randomBytes(24_000).toString("base64");
    proxy.cutAfter(16_000);
    await publish(server, long);
    await proxy.wasCut();
    await publish(server, "behind");
    proxy.up();
    const [cut, behind, ...more] = await client.shown.recordsUpTo(2);
    expect(cut?.data.length).toBeLessThan(long.length);
    expect(long).toStartWith(cut?.data ?? "-");
    expect(behind?.data).toBe("behind");
    expect(more).toEqual([]);
  });

  test("r3labs does not come back after a clean end", async () => {
    const server = await startLocalServer();
    await using client = start("r3labs", server.url);
    await client.shown.nth("live", 1);
    await server[Symbol.asyncDispose]();
    expect(await client.ended()).toEqual({ code: 0, stderr: "Ended with <nil>\n" });
  });
});
