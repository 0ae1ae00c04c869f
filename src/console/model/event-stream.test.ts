import { expect, test } from "bun:test";
import { fetchTransport } from "../../client/fetch-transport.ts";
import { EventStream } from "./event-stream.ts";
import type { ReceivedEvent } from "./received-event.ts";
import { describeReset, type ResetNotice, type StreamState } from "./stream-state.ts";

/** A server and a clock that do what a test says. */
class Bench {
  readonly requests: { readonly lastEventId: string | undefined }[] = [];
  readonly states: StreamState[] = [];
  readonly events: ReceivedEvent[] = [];
  readonly resets: ResetNotice[] = [];
  readonly stream: EventStream;
  nowMs = 0;
  #timers: { atMs: number; call: () => void }[] = [];
  #answers: (() => Response | Promise<Response>)[] = [];
  #writer: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;

  constructor() {
    this.stream = new EventStream({
      transport: fetchTransport(async (_url, { headers, signal }) => {
        this.requests.push({ lastEventId: new Headers(headers).get("Last-Event-ID") ?? undefined });
        const answer = this.#answers.shift();
        if (answer) return answer();
        return new Response(this.#body(signal), {
          headers: { "Content-Type": "text/event-stream;charset=utf-8" },
        });
      })({ url: () => "http://127.0.0.1/events", withCredentials: false, types: [] }),
      token: { get: () => Promise.resolve(undefined), isRenewable: false },
      onState: (state) => this.states.push(state),
      onEvent: (event) => this.events.push(event),
      onReset: (notice) => this.resets.push(notice),
      nowMs: () => this.nowMs,
      clock: {
        wallMs: () => this.nowMs,
        random: () => 1,
        after: (ms, call) => {
          const timer = { atMs: this.nowMs + ms, call };
          this.#timers.push(timer);
          return () => (this.#timers = this.#timers.filter((one) => one !== timer));
        },
      },
    });
  }

  /** The next request gets this instead of a stream. */
  answer(make: () => Response | Promise<Response>): void {
    this.#answers.push(make);
  }

  get state(): StreamState | undefined {
    return this.states.at(-1);
  }

  start(): Promise<void> {
    this.stream.start();
    return settled();
  }

  /** Sends frames of the open stream, or whatever the text is. */
  send(text: string): Promise<void> {
    this.#writer?.enqueue(new TextEncoder().encode(text));
    return settled();
  }

  end(): Promise<void> {
    this.#writer?.close();
    return settled();
  }

  cut(): Promise<void> {
    this.#writer?.error(new Error("cut"));
    return settled();
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { call } of due) call();
    await settled();
  }

  #body(signal: AbortSignal | null | undefined): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start: (controller) => {
        this.#writer = controller;
        signal?.addEventListener("abort", () => {
          try {
            controller.error(new Error("aborted"));
          } catch {
            // It had ended.
          }
        });
      },
    });
  }
}

/** Everything that is ready to happen has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Bun.sleep(0);
}

const CONNECTION = "retry: 2000\n\nid: p0\nevent: connection\ndata: {}\n\n";
const LIVE = 'event: live\ndata: {"replayed":0}\n\n';

const record = (n: number): string =>
  `id: p${n}\ndata: {"topic":"t","partition":0,"offset":${n},"ts":1,"key":null,"headers":{},"payload":${n}}\n\n`;

const close = (reason: string, reconnect = true): string =>
  `event: close\ndata: ${JSON.stringify({ reason, reconnect })}\n\n`;

const problem = (status: number, detail: string, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify({ detail }), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });

test("a stream connects, catches up and is live", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION);
  await bench.send(record(1) + LIVE);
  await bench.send(record(2));
  expect(bench.states.map(({ name }) => name)).toEqual(["connecting", "behind", "live"]);
  expect(bench.events.map(({ number, id, payload }) => [number, id, payload])).toEqual([
    [1, "p1", "1"],
    [2, "p2", "2"],
  ]);
});

test("who was cut in the middle of an event comes back with the one before, and forgets the part", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION + LIVE + record(1));
  await bench.send(record(2).slice(0, -1));
  await bench.cut();
  expect(bench.state).toMatchObject({
    name: "disconnected",
    why: "The server cannot be reached (cut)",
  });
  await bench.pass(2000);
  await bench.send(CONNECTION.replace("p0", "p1") + record(2) + LIVE);
  expect(bench.requests).toEqual([{ lastEventId: undefined }, { lastEventId: "p1" }]);
  expect(bench.events.map(({ id }) => id)).toEqual(["p1", "p2"]);
});

test("heartbeats and resets move the position on, and a reset is told", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(`${CONNECTION}${LIVE}id: p7\nevent: heartbeat\ndata: \n\n`);
  await bench.end();
  bench.stream.retryNow();
  await settled();
  await bench.send('id: p9\nevent: reset\ndata: {"reason":"expired","topics":["t"]}\n\n');
  await bench.end();
  bench.stream.retryNow();
  await settled();
  expect(bench.requests.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "p7", "p9"]);
  expect(bench.resets).toEqual([{ reason: "expired", topics: ["t"] }]);
  expect(describeReset({ reason: "expired", topics: ["t"] })).toInclude("older than what is kept");
  expect(bench.events).toEqual([]);
});

test("it waits as long as the server asks, and longer each time that nothing comes of it", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION);
  await bench.send(`retry: 9000\n\n${close("overloaded")}`);
  await bench.end();
  expect(bench.state).toEqual({
    name: "disconnected",
    why: "The server is overloaded",
    retryAtMs: 9000,
  });
  await bench.pass(8999);
  expect(bench.requests).toHaveLength(1);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    bench.answer(() => Promise.reject(new TypeError("refused")));
    await bench.pass(100_000);
    if (bench.state?.name === "disconnected") waits.push(bench.state.retryAtMs - bench.nowMs);
  }
  expect(waits).toEqual([9000, 9000, 9000, 16_000, 30_000, 30_000]);
});

test("a connection that worked makes the next wait short again", async () => {
  const bench = new Bench();
  for (let attempt = 0; attempt < 5; attempt += 1) bench.answer(() => problem(503, "full"));
  await bench.start();
  for (let attempt = 0; attempt < 5; attempt += 1) await bench.pass(60_000);
  await bench.send(`retry: 0\n\n${CONNECTION.slice(13)}`);
  await bench.end();
  expect(bench.state).toMatchObject({ retryAtMs: bench.nowMs + 1000 });
});

test("what passes is tried again, when the answer says so; what does not is refused", async () => {
  const bench = new Bench();
  bench.answer(() => problem(429, "too many", { "Retry-After": "20" }));
  await bench.start();
  expect(bench.state).toEqual({ name: "disconnected", why: "too many", retryAtMs: 20_000 });
  bench.answer(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await bench.pass(20_000);
  expect(bench.state).toMatchObject({ name: "disconnected", why: "The answer was 502" });
  // A proxy's own page is no stream either.
  bench.answer(() => new Response("<h1>Log in</h1>", { headers: { "Content-Type": "text/html" } }));
  await bench.pass(20_000);
  expect(bench.state).toMatchObject({ name: "disconnected", why: "The answer was 200" });
  for (const status of [400, 401, 403, 404]) {
    bench.answer(() => problem(status, `no ${status}`));
    await bench.start();
    expect(bench.state).toEqual({ name: "refused", status, why: `no ${status}` });
    const before = bench.requests.length;
    await bench.pass(1e6);
    expect(bench.requests).toHaveLength(before);
  }
});

test("an expired token is not tried again", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION + LIVE + close("token-expired", false));
  await bench.end();
  expect(bench.state).toEqual({ name: "refused", status: 401, why: "The token has expired" });
});

test("a server that falls silent is left, and its silence is borne for longer the next time", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION + LIVE + record(1));
  await bench.pass(40_000);
  await bench.send("event: heartbeat\ndata: \n\n");
  await bench.pass(40_000);
  expect(bench.state?.name).toBe("live");
  await bench.pass(20_000);
  expect(bench.state).toMatchObject({ why: "The server has said nothing for too long" });
  await bench.pass(2000);
  expect(bench.requests.at(-1)).toEqual({ lastEventId: "p1" });
  await bench.send(CONNECTION + LIVE);
  await bench.pass(100_000);
  expect(bench.state?.name).toBe("live");
  await bench.pass(20_000);
  expect(bench.state?.name).toBe("disconnected");
});

test("a stream that is opened anew goes on where it was, and the old one says nothing more", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(CONNECTION + LIVE + record(1));
  const before = bench.states.length;
  await bench.start();
  expect(bench.requests).toEqual([{ lastEventId: undefined }, { lastEventId: "p1" }]);
  expect(bench.states.slice(before).map(({ name }) => name)).toEqual(["connecting"]);
  bench.stream.stop();
  await settled();
  await bench.pass(1e6);
  expect(bench.state).toEqual({ name: "stopped" });
  expect(bench.requests).toHaveLength(2);
});

test("what is no envelope is shown as it is", async () => {
  const bench = new Bench();
  await bench.start();
  await bench.send(`${CONNECTION}id: p1\ndata: <b>no JSON</b>\n\n`);
  await bench.send(
    'id: p2\nevent: skipped\ndata: {"topic":"t","partition":1,"offset":5,"reason":"too-large"}\n\n',
  );
  expect(bench.events.map(({ topic, payload }) => [topic, payload])).toEqual([
    ["", "<b>no JSON</b>"],
    ["t", '"too-large"'],
  ]);
});
