import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { constants, createGzip } from "node:zlib";
import { buildPrograms, canBuildPrograms, startSubscribers } from "../loadtest/programs.ts";
import type { SubscriberOptions, SubscribersResult } from "../loadtest/programs.ts";
import { familyOf } from "../loadtest/usage.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";

const PROGRAM = join(import.meta.dir, "../loadtest/bin/subscribers");
/** Longer than any of these tests takes; they end their programs themselves. */
const LONG = { warmup: 0, seconds: 60 };

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe.skipIf(isQuick || !canBuildPrograms())("the subscribers program", () => {
  beforeAll(buildPrograms);

  test("several processes hold the streams together, each with a number of its own", async () => {
    const server = new CountingServer();
    const options = { connections: 40, processes: 3, warmup: 0, path: "/{n}", seconds: 0.6 };
    const result = await run(server.port, options);
    expect(server.paths.toSorted()).toEqual(
      Array.from({ length: 40 }, (_, n) => `/${n}`).toSorted(),
    );
    expect(result).toMatchObject({ processes: 3, ok: 40, sampled: 40, openAtEnd: 40, gaps: 0 });
    expect(result.measured.seconds).toBeCloseTo(0.6, 1);
    expect(result.measured.deliveries).toBe(result.measured.events);
    expect(result.latencyUs.count).toBe(result.measured.events);
    expect(result.firstEventUs.count).toBe(40);
  });

  test("a process that dies fails the run, and the others end", async () => {
    const { port } = new CountingServer();
    const running = startSubscribers(`127.0.0.1:${port}`, {
      ...LONG,
      connections: 9,
      processes: 3,
    });
    await until(() => familyOf(running.pid).length === 4);
    const [, first, ...others] = familyOf(running.pid);
    process.kill(first ?? 0, "SIGKILL");
    expect(await running.result.catch(String)).toContain("ended with 1");
    expect(others.filter(isAlive)).toEqual([]);
  });

  test("the processes end with the one that leads them", async () => {
    const { port } = new CountingServer();
    const running = startSubscribers(`127.0.0.1:${port}`, {
      ...LONG,
      connections: 9,
      processes: 3,
    });
    await until(() => familyOf(running.pid).length === 4);
    const [, ...others] = familyOf(running.pid);
    process.kill(running.pid, "SIGKILL");
    expect(await running.result.catch(String)).toContain("ended with");
    await until(() => others.filter(isAlive).length === 0);
  });

  test("a gzip stream is inflated as it comes, and its end is judged by its trailer", async () => {
    const batches = [0, 1, 2].map(frame);
    const { pieces, trailer } = await gzipOf(batches);
    const wrong = Buffer.from(trailer);
    // RFC 1952: the last eight bytes are the checksum and the length.
    wrong.writeUInt8(wrong.readUInt8(wrong.length - 8) ^ 1, wrong.length - 8);
    const expected = { ok: 2, failed: 0, events: 6, gaps: 0, closedByServer: 2 };
    const options = { connections: 2, gzip: 1, warmup: 0, seconds: 0.3 };

    const right = await run(serveGzip([...pieces, trailer]), options);
    expect(right).toMatchObject({ ...expected, gzipErrors: 0, broken: 0 });
    expect(right.inflatedBytes).toBe(2 * batches.join("").length);
    expect(await run(serveGzip([...pieces, wrong]), options)).toMatchObject({
      ...expected,
      gzipErrors: 2,
    });
    expect(await run(serveGzip(pieces), options)).toMatchObject({ ...expected, gzipErrors: 2 });
    const extra = [...pieces, trailer, Buffer.from("x")];
    expect(await run(serveGzip(extra), options)).toMatchObject({ ...expected, gzipErrors: 2 });
    const noise = Buffer.from("this is no gzip");
    expect(await run(serveGzip([noise]), options)).toMatchObject({ events: 0, gzipErrors: 2 });
  });

  test("an answer in another coding than the one asked for is a failure", async () => {
    const { pieces } = await gzipOf([frame(0)]);
    const plain = new CountingServer().port;
    const options = { connections: 3, warmup: 0, seconds: 0.1 };
    expect(await run(plain, { ...options, gzip: 1 })).toMatchObject({ ok: 0, failed: 3 });
    expect(await run(serveGzip(pieces), options)).toMatchObject({ ok: 0, failed: 3 });
  });

  test("of many gzip streams a few are inflated, and the others counted by their bytes", async () => {
    const { pieces } = await gzipOf([0, 1, 2, 3].map(frame));
    const port = serveGzip(pieces, { gapMs: 100, ends: false });
    const options = { connections: 20, sample: 10, gzip: 1, warmup: 0, seconds: 0.8 };
    const result = await run(port, options);
    expect(result).toMatchObject({ ok: 20, sampled: 2, events: 8, gzipErrors: 0 });
    expect(result.measured.bytes).toBeGreaterThan(0);
    expect(result.measured.deliveries).toBe(result.measured.events * 10);
  });

  test("in a storm all streams are cut, and come back with their last event ids", async () => {
    const server = new CountingServer();
    const result = await run(server.port, {
      connections: 30,
      processes: 2,
      warmup: 0,
      seconds: 1.5,
      stormAt: 0.3,
      stormSpread: 0.4,
    });
    expect(result).toMatchObject({ lost: 30, returned: 30, away: 0, openAtEnd: 30 });
    expect(result).toMatchObject({ ok: 30, closedByServer: 0, gaps: 0, repeats: 0 });
    expect(result.backUs.count).toBe(30);
    expect(result.lastBackAtUs / 1_000).toBeLessThan(Date.now());
    expect(server.lastIds.filter((id) => id !== null).length).toBe(30);
    // They come back over the spread, not at once.
    expect(result.backUs.max).toBeGreaterThan(300_000);
    expect(result.backUs.p50).toBeLessThan(result.backUs.max);
  });

  test("SIGUSR1 is a storm, too, as often as it comes", async () => {
    const server = new CountingServer();
    const options = { ...LONG, connections: 20, stormSpread: 0 };
    const running = startSubscribers(`127.0.0.1:${server.port}`, options);
    await until(() => server.lastIds.length === 20 && server.areAllSent);
    for (const storms of [1, 2]) {
      running.storm();
      await until(() => server.lastIds.length === 20 * (1 + storms) && server.areAllSent);
    }
    running.stop();
    const result = await running.result;
    expect(result).toMatchObject({ lost: 40, gaps: 0, repeats: 0 });
    expect(server.lastIds.filter((id) => id !== null).length).toBe(40);
  });

  test("streams that the server ends come back where it is again, with their last event ids", async () => {
    const first = new CountingServer();
    const options = { ...LONG, connections: 20, return: 1, stormSpread: 0.1, retryEvery: 0.05 };
    let away = 0;
    const running = startSubscribers(`127.0.0.1:${first.port}`, options, (progress) => {
      away = progress.away;
    });
    await until(() => first.lastIds.length === 20 && first.areAllSent);
    const { port } = first;
    await first.stop();
    await until(() => away === 20);
    const second = new CountingServer(port);
    await until(() => second.lastIds.length === 20 && second.areAllSent);
    running.stop();
    const result = await running.result;
    expect(result).toMatchObject({ closedByServer: 20, lost: 20, returned: 20, openAtEnd: 20 });
    expect(result).toMatchObject({ ok: 20, failed: 0, gaps: 0, repeats: 0 });
    expect(second.lastIds.length).toBe(20);
    expect(second.lastIds).not.toContain(null);
  });

  test("streams that the server ends stay away where nobody asked for their return", async () => {
    const server = new CountingServer();
    const options = { connections: 5, warmup: 0, seconds: 0.8, stormSpread: 0 };
    const result = run(server.port, options);
    await until(() => server.lastIds.length === 5 && server.areAllSent);
    server.endAll();
    expect(await result).toMatchObject({ closedByServer: 5, lost: 0, openAtEnd: 0 });
    expect(server.lastIds.length).toBe(5);
  });

  test("options that cannot be together are refused, and said why", () => {
    const refusals: [string[], string][] = [
      [["--connections", "40000", "--processes", "2"], "--processes 3"],
      [["--connections", "200001"], "200000"],
      [["--processes", "17"], "a number from 1 to 16"],
      [["--connections", "2", "--processes", "3"], "fewer --connections"],
      [["--storm-at", "10", "--seconds", "10"], "within --seconds"],
      [["--return", "1", "--sample", "2"], "every stream is parsed"],
      [["--storm-at", "1", "--sample", "2"], "every stream is parsed"],
      [["--gzip", "yes"], "a number from 0 to 1"],
      [["--gzipped", "1"], "no such argument"],
    ];
    for (const [words, why] of refusals) {
      const command = [PROGRAM, "--target", "127.0.0.1:1", ...words];
      const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "ignore" });
      expect(stderr.toString()).toContain(why);
      expect(exitCode).toBe(2);
    }
  });
});

/** Sends `live`, and then numbered events from the last id on; says who asked for what. */
class CountingServer {
  readonly paths: string[] = [];
  readonly lastIds: (string | null)[] = [];
  readonly #open = new Set<{ next: number; sent: number; timer: Timer; close: () => void }>();
  readonly #server;

  constructor(port = 0) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
    stops.push(() => this.stop());
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** Whether every open stream has been sent something to remember, for a while already. */
  get areAllSent(): boolean {
    return [...this.#open].every(({ sent }) => sent > 10);
  }

  endAll(): void {
    for (const stream of this.#open) {
      clearInterval(stream.timer);
      stream.close();
    }
    this.#open.clear();
  }

  async stop(): Promise<void> {
    this.endAll();
    await this.#server.stop(true);
  }

  #answer(request: Request): Response {
    const last = request.headers.get("last-event-id");
    this.paths.push(new URL(request.url).pathname);
    this.lastIds.push(last);
    let ours: { next: number; sent: number; timer: Timer; close: () => void } | undefined;
    const body = new ReadableStream<string>({
      start: (controller) => {
        controller.enqueue('event: live\ndata: {"replayed":0}\n\n');
        const stream = {
          next: last === null ? 0 : Number(last) + 1,
          sent: 0,
          timer: setInterval(() => {
            controller.enqueue(frame(stream.next));
            stream.next += 1;
            stream.sent += 1;
          }, 5),
          close: () => controller.close(),
        };
        this.#open.add(stream);
        ours = stream;
      },
      cancel: () => {
        if (ours === undefined) return;
        clearInterval(ours.timer);
        this.#open.delete(ours);
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}

function run(port: number, options: SubscriberOptions): Promise<SubscribersResult> {
  return startSubscribers(`127.0.0.1:${port}`, options).result;
}

function frame(n: number): string {
  return `id: ${n}\ndata: {"t":${Date.now() * 1_000},"n":${n},"p":"xxx"}\n\n`;
}

/** Each text as what a sync flush makes of it, and the end with its trailer. */
async function gzipOf(
  texts: readonly string[],
): Promise<{ pieces: Buffer<ArrayBuffer>[]; trailer: Buffer<ArrayBuffer> }> {
  const gzip = createGzip();
  const read = (): Buffer<ArrayBuffer> => {
    const parts: Buffer[] = [];
    for (let part: unknown = gzip.read(); Buffer.isBuffer(part); part = gzip.read())
      parts.push(part);
    return Buffer.concat(parts);
  };
  const pieces: Buffer<ArrayBuffer>[] = [];
  for (const text of texts) {
    gzip.write(text);
    await new Promise<void>((resolve) => gzip.flush(constants.Z_SYNC_FLUSH, resolve));
    pieces.push(read());
  }
  const ended = new Promise((resolve) => gzip.once("readable", resolve));
  gzip.end();
  await ended;
  return { pieces, trailer: read() };
}

/** Answers every request with these bytes as gzip, each piece a chunk of its own, and ends the answer. */
function serveGzip(
  pieces: readonly Buffer<ArrayBuffer>[],
  { gapMs = 0, ends = true }: { gapMs?: number; ends?: boolean } = {},
): number {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: () => {
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        start: async (controller) => {
          for (const piece of pieces) {
            controller.enqueue(piece);
            await Bun.sleep(gapMs);
          }
          if (ends) controller.close();
        },
      });
      const headers = { "Content-Type": "text/event-stream", "Content-Encoding": "gzip" };
      return new Response(body, { headers });
    },
  });
  stops.push(() => server.stop(true));
  return server.port ?? 0;
}

/** Whether a process runs; one that has ended, and that nobody has waited for yet, does not. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
