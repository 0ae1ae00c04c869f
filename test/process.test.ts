import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { until } from "./support/feed.ts";
import { RawPeer, stalledReader } from "./support/peers.ts";
import { metric, publish, spawnServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

// Processes start side by side: on a busy machine each takes its time.
setDefaultTimeout(30_000);

test.concurrent("G1 at SIGTERM readiness goes first, new streams are shed, and each open one ends after a whole event", async () => {
  await using server = await startServer({ SHUTDOWN_GRACE: "4000" });
  const peers = await Promise.all(
    Array.from({ length: 300 }, () => RawPeer.subscribe(server.port)),
  );
  for (const { stream } of peers) await stream.first("live");
  await publish(server.url, { data: "x".repeat(50_000) });
  const startedMs = performance.now();
  server.kill("SIGTERM");
  await until(async () => (await fetch(`${server.url}/readyz`)).status === 503);
  expect((await fetch(`${server.url}/livez`)).status).toBe(200);
  await using late = await TestSubscriber.open(server.url);
  await late.ended();
  expect(late.events).toMatchObject([
    { event: "close", data: '{"reason":"shutdown","reconnect":true}' },
  ]);
  const refused = await fetch(`${server.url}/events`, { headers: { Accept: "*/*" } });
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ type: "/errors/shutting-down" });
  expect(await server.exited).toBe(0);
  // Not the default grace of ten seconds.
  expect(performance.now() - startedMs).toBeLessThan(8000);
  const closedMs: number[] = [];
  for (const { stream, body } of peers) {
    await stream.ended();
    const live = await stream.first("live");
    const hasIt = stream.records.length === 1;
    expect(stream.events.map(({ event }) => event)).toEqual(
      hasIt ? ["connection", "live", "message", "close"] : ["connection", "live", "close"],
    );
    // Who was closed before its turn comes back to the event.
    expect(stream.lastEventId !== live.id).toBe(hasIt);
    expect(stream.retries).toHaveLength(2);
    expect(body).toEndWith("\n\n");
    closedMs.push(stream.events.at(-1)?.atMs ?? 0);
  }
  // They do not all come back at once.
  expect(Math.max(...closedMs) - Math.min(...closedMs)).toBeGreaterThan(700);
});

test.concurrent("G2 a second signal ends the process at once, whatever the grace", async () => {
  await using server = await startServer({ SHUTDOWN_GRACE: "60000", SSE_MAX_STALL: "60000" });
  await using stalled = await stalledReader(server.port);
  for (let i = 0; i < 30; i += 1) await publish(server.url, { data: "x".repeat(50_000) });
  server.kill("SIGTERM");
  await until(() => server.stdout().includes("server is stopping"));
  const startedMs = performance.now();
  server.kill("SIGTERM");
  expect(await server.exited).not.toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(2000);
  expect(stalled.stream.named("close")).toEqual([]);
});

test.concurrent("G1 a stalled stream does not hold the end beyond the grace", async () => {
  await using server = await startServer({ SHUTDOWN_GRACE: "500", SSE_MAX_STALL: "60000" });
  await using stalled = await stalledReader(server.port);
  for (let i = 0; i < 30; i += 1) await publish(server.url, { data: "x".repeat(50_000) });
  const startedMs = performance.now();
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(2500);
  expect(stalled.stream.records.length).toBeLessThan(30);
});

test.concurrent("G3 what was acknowledged while the server stopped is there when it is back", async () => {
  using directory = temporaryDirectory();
  const settings = { DATA_DIR: directory.path, SHUTDOWN_GRACE: "300" };
  const acknowledged: string[] = [];
  await using server = await startServer(settings);
  const stopped = new AbortController();
  const posters = Array.from({ length: 8 }, async (_, poster) => {
    for (let i = 0; !stopped.signal.aborted; i += 1) {
      const text = `${poster}-${i}`;
      const answer = await publish(server.url, { data: text }).catch(() => undefined);
      if (answer?.status === 200) acknowledged.push(text);
      else if (answer?.status === 503) {
        expect(await answer.json()).toMatchObject({ mayBeStored: false });
      }
    }
  });
  await until(() => acknowledged.length > 50);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  stopped.abort();
  await Promise.all(posters);
  await using again = await startServer(settings);
  await using all = await TestSubscriber.live(again.url, "/events?since=earliest");
  const stored = all.records.map(({ data }) => JSON.parse(data) as string);
  expect(new Set(stored).size).toBe(stored.length);
  expect(acknowledged.filter((text) => !stored.includes(text))).toEqual([]);
});

test.concurrent("G10 the start refuses unknown variables and malformed values, all at once", async () => {
  await using server = spawnServer({
    SSE_HEARTBEET_INTERVAL: "1000",
    SSE_MAX_STALL: "soon",
    DATA_RETENTION: "1 week",
  });
  expect(await server.exited).toBe(1);
  for (const word of [
    "SSE_HEARTBEET_INTERVAL",
    "SSE_HEARTBEAT_INTERVAL",
    "SSE_MAX_STALL",
    "soon",
  ]) {
    expect(server.stderr()).toInclude(word);
  }
  expect(server.stderr()).toInclude("DATA_RETENTION");
  expect(server.stderr()).not.toInclude("    at ");
});

test.concurrent("a port that is taken ends the start with exit code 1 and what to do", async () => {
  await using first = await startServer();
  await using second = spawnServer({ PORT: String(first.port) });
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toInclude(`Cannot listen on 127.0.0.1:${first.port}`);
});

test.concurrent("a second process on the same DATA_DIR is refused, and disturbs nothing", async () => {
  using directory = temporaryDirectory();
  await using first = await startServer({ DATA_DIR: directory.path });
  await using second = spawnServer({ DATA_DIR: directory.path });
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toInclude(
    `DATA_DIR ${directory.path} is in use by another Headgate process`,
  );
  expect((await publish(first.url, { data: 1 })).status).toBe(200);
});

test.concurrent("G11 a DATA_DIR that cannot be made ends the start with exit code 1 and what to do", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "file");
  writeFileSync(file, "");
  await using server = spawnServer({ DATA_DIR: join(file, "data") });
  expect(await server.exited).toBe(1);
  expect(server.stderr()).toInclude("cannot be written");
  expect(server.stderr()).toInclude("DATA_DIR=:memory:");
});

test.concurrent.skipIf(process.getuid?.() !== 0)(
  "G11 the server works as a user without rights, and a directory it cannot write is told",
  async () => {
    using directory = temporaryDirectory();
    chmodSync(directory.path, 0o755);
    const readOnly = join(directory.path, "read-only");
    mkdirSync(readOnly);
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    await using refused = spawnServer({ DATA_DIR: readOnly }, asNobody);
    expect(await refused.exited).toBe(1);
    expect(refused.stderr()).toInclude(`DATA_DIR ${readOnly} cannot be written`);
    await using server = await startServer(
      { DATA_DIR: ":memory:", TMPDIR: "/nonexistent" },
      asNobody,
    );
    expect((await publish(server.url, { data: 1 })).status).toBe(200);
    expect(await metric(server.url, 'headgate_published_total{result="ok"}')).toBe(1);
  },
);

test.concurrent("G8 an HTTP/1.0 request, with and without a Host, gets a stream that its end closes", async () => {
  await using server = await startServer({
    SSE_MAX_CONNECTION_AGE: "600",
    SSE_CLEANUP_INTERVAL: "20",
  });
  for (const host of ["", "Host: localhost\r\n"]) {
    await using peer = await RawPeer.send(server.port, `GET /events HTTP/1.0\r\n${host}\r\n`);
    await peer.stream.first("live");
    expect(peer.status).toBe(200);
    expect(peer.head).not.toMatch(/transfer-encoding/i);
    await publish(server.url, { data: "old" });
    expect((await peer.stream.recordsUpTo(1))[0]?.data).toBe('"old"');
    await peer.stream.ended();
    expect(peer.stream.events.at(-1)?.event).toBe("close");
  }
});

test.concurrent("E8 without file descriptors left the server lives, its streams go on, and it accepts again when there are some", async () => {
  // 64 streams, and 256 files for all else.
  await using server = await startServer({}, ["prlimit", "--nofile=320:320"]);
  expect(server.stdout()).toInclude("streams are limited by the open files limit");
  const peers = await Promise.all(Array.from({ length: 64 }, () => RawPeer.subscribe(server.port)));
  for (const { stream } of peers) await stream.first("live");
  const refused = await fetch(`${server.url}/events`, { headers: { Accept: "*/*" } });
  expect(refused.status).toBe(503);
  // With a first byte: the kernel hands over nobody who has sent nothing.
  const idle = await Promise.all(
    Array.from({ length: 400 }, () => RawPeer.send(server.port, "GET /")),
  );
  // Over a connection of its own: one that was kept would be served all the same.
  const isAccepting = async (): Promise<boolean> => {
    const response = Promise.withResolvers<boolean>();
    const socket = createConnection(server.port, "127.0.0.1");
    socket.on("error", () => response.resolve(false));
    socket.once("data", () => response.resolve(true));
    socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const timer = setTimeout(() => response.resolve(false), 500);
    const isAnswered = await response.promise;
    clearTimeout(timer);
    socket.destroy();
    return isAnswered;
  };
  expect(await isAccepting()).toBe(false);
  for (const { socket } of idle) socket.destroy();
  await until(isAccepting);
  expect((await publish(server.url, { data: "after" })).status).toBe(200);
  for (const { stream } of peers) await stream.first("message");
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

test.concurrent("G4 an event loop that stood still goes on: streams live, heartbeats come, nothing is missed", async () => {
  await using server = await startServer({ SSE_HEARTBEAT_INTERVAL: "200" });
  await using subscriber = await TestSubscriber.live(server.url);
  process.kill(server.pid, "SIGSTOP");
  const published = publish(server.url, { data: "while it stood still" });
  await Bun.sleep(2000);
  const beats = subscriber.named("heartbeat").length;
  process.kill(server.pid, "SIGCONT");
  expect((await published).status).toBe(200);
  await subscriber.recordsUpTo(1);
  await subscriber.until(() => subscriber.named("heartbeat").length > beats + 1);
  expect((await fetch(`${server.url}/livez`)).status).toBe(200);
});
