import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { measure, startPublisher } from "../loadtest/processes.ts";
import {
  buildPrograms,
  canBuildPrograms,
  runSubscribers,
  startFloor,
} from "../loadtest/programs.ts";
import type { Phase } from "../loadtest/programs.ts";
import { isQuick } from "./support/effort.ts";

const HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

const PostedEvents = z.array(
  z.object({ data: z.object({ t: z.number(), n: z.number(), p: z.string() }) }),
);

/** Events as the server's are, for longer than any test takes. */
const FLOOR = { rate: 500, bytes: 100, idBytes: 24, paceMs: 5, seconds: 60 };

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe.skipIf(isQuick || !canBuildPrograms())("the load programs", () => {
  beforeAll(buildPrograms);

  test("50 subscribers read the floor program's events for two seconds without a gap", async () => {
    await using floor = await startFloor(FLOOR);
    const phases: Phase[] = [];
    const { subscribers, serverCpuSeconds } = await measure(
      floor,
      { connections: 50, warmup: 0.2, seconds: 2 },
      { onOpen: () => phases.push("warmup"), onMeasured: () => phases.push("drain") },
    );
    expect(phases).toEqual(["warmup", "drain"]);
    expect(subscribers).toMatchObject({
      ok: 50,
      failed: 0,
      broken: 0,
      closedByServer: 0,
      sampled: 50,
    });
    expect(subscribers).toMatchObject({
      gaps: 0,
      repeats: 0,
      reordered: 0,
      resets: 0,
      otherEvents: 0,
    });
    expect(subscribers.streamsWithoutEvents).toBe(0);
    expect(subscribers.idBytes).toBe(24);
    const { measured, latencyUs } = subscribers;
    expect(measured.events).toBeGreaterThan(0);
    expect(measured.deliveries).toBe(measured.events);
    expect(measured.writes).toBeLessThanOrEqual(measured.events);
    expect(latencyUs.count).toBe(measured.events);
    expect(latencyUs.p50).toBeLessThanOrEqual(latencyUs.p99);
    expect(latencyUs.p99).toBeLessThanOrEqual(latencyUs.max);
    expect(serverCpuSeconds).toBeGreaterThanOrEqual(0);
  });

  test("streams that are not parsed are counted by their bytes", async () => {
    await using floor = await startFloor(FLOOR);
    const result = await runSubscribers(floor.port, {
      connections: 50,
      sample: 50,
      warmup: 0.2,
      seconds: 1,
    });
    expect(result).toMatchObject({ ok: 50, sampled: 1, gaps: 0 });
    // One stream may be a write ahead of another when the window begins and when it ends.
    expect(result.measured.deliveries / result.measured.events).toBeCloseTo(50, -1);
  });

  test("missing, repeated and overtaken numbers are counted, wherever the bytes are cut", async () => {
    const numbers = [0, 1, 3, 3, 6, 5, 7];
    const answer = HEAD + numbers.map((n) => chunk(frame(n))).join("");
    const port = serveBytes(answer.split(""));
    const result = await runSubscribers(port, { connections: 2, warmup: 0, seconds: 0.5 });
    expect(result).toMatchObject({ ok: 2, gaps: 2 * 2, repeats: 2, reordered: 2, events: 2 * 7 });
    expect(result).toMatchObject({ lowestLast: 7, highestLast: 7 });
  });

  test("an event may lie in several chunks, and several lines of it may not be ours", async () => {
    const system =
      'retry: 3000\n\nid: 1\nevent: reset\ndata: {"reason":"expired"}\n\n: comment\n\n';
    const [start, end] = [frame(1).slice(0, 9), frame(1).slice(9)];
    const foreign = 'data: {"other":1}\n\nevent: order\ndata: {"t":1,"n":9,"p":""}\n\n';
    const answer = HEAD + [frame(0), system, start, end, foreign, frame(2)].map(chunk).join("");
    const result = await runSubscribers(serveBytes([answer]), {
      connections: 1,
      warmup: 0,
      seconds: 0.3,
    });
    expect(result).toMatchObject({ events: 3, gaps: 0, repeats: 0, resets: 1, otherEvents: 2 });
  });

  test("an answer other than 200, and one that is cut, are counted", async () => {
    const refused = serveBytes(["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]);
    expect(
      await runSubscribers(refused, { connections: 3, warmup: 0, seconds: 0.1 }),
    ).toMatchObject({
      ok: 0,
      failed: 3,
      broken: 3,
    });
    const ended = serveBytes([HEAD, chunk(frame(0)), "0\r\n\r\n"]);
    expect(await runSubscribers(ended, { connections: 3, warmup: 0, seconds: 0.3 })).toMatchObject({
      ok: 3,
      failed: 0,
      closedByServer: 3,
    });
  });

  test("subscribers that reconnect come back with the last event id they saw", async () => {
    const asked: (string | null)[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => {
        const last = request.headers.get("last-event-id");
        asked.push(last);
        return new Response(countingStream(last === null ? 0 : Number(last) + 1));
      },
    });
    stops.push(() => server.stop(true));
    const options = {
      connections: 10,
      warmup: 0.2,
      seconds: 1.5,
      drain: 0.5,
      reconnectEvery: 0.3,
      reconnectPercent: 50,
    };
    const result = await runSubscribers(server.port ?? 0, options);
    expect(result.reconnects).toBeGreaterThan(0);
    expect(result).toMatchObject({ failed: 0, gaps: 0, repeats: 0, reordered: 0 });
    expect(asked.filter((id) => id !== null).length).toBe(result.reconnects);
  });

  test("a stalled subscriber stops reading, and is counted where the server cuts it", async () => {
    await using floor = await startFloor({
      rate: 2000,
      bytes: 60_000,
      idBytes: 24,
      paceMs: 5,
      seconds: 60,
    });
    const options = {
      connections: 10,
      warmup: 0,
      seconds: 4,
      stallPercent: 93,
      receiveBuffer: 4096,
    };
    const result = await runSubscribers(floor.port, { ...options, connections: 8 });
    // Of each hundred the last 93 stall: here number 7. The floor drops whoever does not take a whole write.
    expect(result.stalled).toBe(1);
    expect(result.stalledCut).toBe(1);
  });

  test("only this machine's loopback addresses are accepted", async () => {
    for (const target of ["10.0.0.1:80", "example.com:80", "128.0.0.1:80", "127.0.0.1", ""]) {
      const program = join(import.meta.dir, "../loadtest/bin/subscribers");
      const child = Bun.spawn([program, "--target", target], {
        stderr: "ignore",
        stdout: "ignore",
      });
      expect(await child.exited).toBe(2);
    }
  });
});

test("the publisher sends every number once, with its time, in order within a request", async () => {
  const numbers: number[] = [];
  const enough = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const events = PostedEvents.parse(await request.json());
      for (const { data } of events) {
        numbers.push(data.n);
        expect(Math.abs(data.t / 1_000 - Date.now())).toBeLessThan(30_000);
        expect(data.p).toBe("x".repeat(50));
      }
      if (numbers.length > 300) enough.resolve();
      return new Response("{}");
    },
  });
  stops.push(() => server.stop(true));
  const target = `http://127.0.0.1:${server.port}`;
  const publisher = startPublisher({ target, rate: 1_000, bytes: 50, seconds: 30 });
  await enough.promise;
  const result = await publisher.stop();
  expect(result.failed).toBe(0);
  expect(result.published).toBe(numbers.length);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers.map((_, index) => index));
});

function frame(n: number): string {
  return `id: ${n}\ndata: {"t":${Date.now() * 1_000},"n":${n},"p":"xxx"}\n\n`;
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** Answers every connection with these pieces, each in a write of its own, and leaves it open. */
function serveBytes(pieces: readonly string[]): number {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: async (socket) => {
        socket.setNoDelay(true);
        for (const piece of pieces) {
          socket.write(piece);
          // A turn of the event loop between two writes, so that they leave as two.
          await new Promise(setImmediate);
        }
      },
    },
  });
  stops.push(() => server.stop(true));
  return server.port;
}

/** A stream of numbered events from `first` on, one a few milliseconds. */
function countingStream(first: number): ReadableStream<string> {
  let timer: Timer | undefined;
  let next = first;
  return new ReadableStream({
    start: (controller) => {
      timer = setInterval(() => {
        controller.enqueue(frame(next));
        next += 1;
      }, 3);
    },
    cancel: () => clearInterval(timer),
  });
}
