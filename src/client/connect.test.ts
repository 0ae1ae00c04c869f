import { expect, test } from "bun:test";
import { ManualClock, settled } from "../../test/support/manual-clock.ts";
import { connect, connectionSource } from "./connect.ts";
import { openStream } from "./event-stream.ts";
import type { Schemas, StatusDetail, Stream, StreamStatus } from "./stream.ts";
import type { StreamOptions } from "./stream-options.ts";

const ANSWER = { headers: { "Content-Type": "text/event-stream;charset=utf-8" } };

/** A stream whose fetch gives these answers, the last one over and over. */
class FetchBench {
  readonly clock = new ManualClock();
  readonly requests: { readonly url: string; readonly init: RequestInit }[] = [];
  readonly statuses: { readonly status: StreamStatus; readonly detail: StatusDetail }[] = [];
  readonly stream: Stream;

  constructor(
    answers: readonly (() => Response | Promise<Response>)[],
    options: StreamOptions = {},
  ) {
    const all: StreamOptions = {
      url: "http://localhost",
      fetch: async (url, init) => {
        const answer = answers[Math.min(this.requests.length, answers.length - 1)];
        this.requests.push({ url, init });
        return answer?.() ?? Response.error();
      },
      onStatus: (status, detail) => this.statuses.push({ status, detail }),
      ...options,
    };
    this.stream = openStream<Schemas>(all, connectionSource(all), this.clock);
  }

  get last(): { readonly status: StreamStatus; readonly detail: StatusDetail } | undefined {
    return this.statuses.at(-1);
  }

  header(name: string, request = -1): string | null {
    return new Headers(this.requests.at(request)?.init.headers).get(name);
  }
}

function problem(status: number, headers: Record<string, string> = {}): () => Response {
  return () =>
    new Response(JSON.stringify({ detail: `detail of ${status}` }), {
      status,
      headers: { "Content-Type": "application/problem+json", ...headers },
    });
}

const page =
  (status: number, headers: Record<string, string> = {}) =>
  (): Response =>
    new Response(status === 204 ? null : "<h1>A page</h1>", {
      status,
      headers: { "Content-Type": "text/html", ...headers },
    });

/** A stream of this text, which stays open. */
const streamOf = (text: string) => (): Response =>
  new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
    }),
    ANSWER,
  );

test("what the caller has to change is final", async () => {
  for (const status of [204, 400, 401, 403, 404, 405, 406, 410, 413, 414, 431]) {
    const bench = new FetchBench([page(status)], { token: "t" });
    await settled();
    expect(bench.last).toMatchObject({
      status: "error",
      detail: { why: { reason: "refused", httpStatus: status } },
    });
    expect(bench.stream.error).toMatchObject({ httpStatus: status });
    await bench.clock.pass(1e6);
    expect(bench.requests).toHaveLength(1);
  }
});

test("what passes by itself is tried again: faults, limits, and other people's pages", async () => {
  const types: Record<string, string>[] = [
    { "Content-Type": "text/html" },
    { "Content-Type": "text/event-stream-not" },
    { "Content-Type": "application/json; x=text/event-stream" },
  ];
  const answers = [
    ...[200, 202, 304, 408, 429, 500, 502, 503, 504, 522].map((status) => page(status)),
    ...types.map((headers) => page(200, headers)),
    () => new Response("", { headers: { "Content-Type": "" } }),
  ];
  for (const answer of answers) {
    const bench = new FetchBench([answer, streamOf("data: 1\n\n")]);
    await settled();
    expect(bench.last).toMatchObject({
      status: "reconnecting",
      detail: { why: { reason: "refused", httpStatus: answer().status } },
    });
    await bench.clock.pass(5000);
    expect(bench.stream.status).toBe("open");
  }
});

test("the content type of a stream may be written in any way", async () => {
  for (const type of ["text/event-stream", "Text/Event-Stream", "text/event-stream ; charset=x"]) {
    const answer = (): Response => {
      const { body } = streamOf("data: 1\n\n")();
      return new Response(body, { headers: { "Content-Type": type } });
    };
    const bench = new FetchBench([answer]);
    await settled();
    expect(bench.stream.status).toBe("open");
  }
});

test("an answer's Retry-After is waited for, and what is no number of seconds is not", async () => {
  for (const [retryAfter, delayMs] of [
    ["20", 20_000],
    ["100000", 300_000],
    ["0", 5000],
    ["-5", 5000],
    ["Wed, 21 Oct 2026 07:28:00 GMT", 5000],
    ["", 5000],
    ["Infinity", 300_000],
  ] as const) {
    for (const status of [429, 503]) {
      const bench = new FetchBench([problem(status, { "Retry-After": retryAfter })]);
      await settled();
      expect(bench.last?.detail, retryAfter).toMatchObject({
        why: { message: `detail of ${status}` },
        delayMs,
      });
    }
  }
});

test("a problem's words are told, and a page's are not", async () => {
  const told = async (answer: () => Response): Promise<string | undefined> => {
    const bench = new FetchBench([answer]);
    await settled();
    return bench.stream.error?.message;
  };
  expect(await told(problem(404))).toBe("detail of 404");
  expect(await told(page(404))).toBe("The answer was 404");
  for (const body of ["", "null", "[]", "5", '"x"', "{", '{"detail":5}']) {
    const headers = { "Content-Type": "application/problem+json" };
    expect(await told(() => new Response(body, { status: 400, headers }))).toBe(
      "The answer was 400",
    );
  }
});

test("a request says what it wants, where it goes on, and who it is", async () => {
  const bench = new FetchBench([streamOf(""), () => Promise.reject(new Error("gone"))], {
    token: "to-ken",
    lastEventId: "p1é",
    withCredentials: true,
    topics: ["a"],
  });
  await settled();
  expect(bench.requests[0]?.url).toBe("http://localhost/events?topics=a");
  expect(bench.header("Accept")).toBe("text/event-stream");
  expect(bench.header("Authorization")).toBe("Bearer to-ken");
  expect(Buffer.from(bench.header("Last-Event-ID") ?? "", "latin1").toString()).toBe("p1é");
  expect(bench.requests[0]?.init).toMatchObject({ credentials: "include", cache: "no-store" });
  const plain = new FetchBench([streamOf("")]);
  await settled();
  expect([...new Headers(plain.requests[0]?.init.headers).keys()]).toEqual(["accept"]);
  expect(plain.requests[0]?.init.credentials).toBe("same-origin");
  bench.stream.close();
  expect(bench.requests[0]?.init.signal?.aborted).toBe(true);
});

test("options that are undefined are as if they were left out", async () => {
  const bench = new FetchBench([() => Promise.reject(new Error("gone"))], {
    backoff: { firstMs: undefined, factor: undefined, maxMs: 6000 },
    maxReconnectAttempts: undefined,
    staleMs: undefined,
    maxBuffered: undefined,
  });
  await settled();
  expect(bench.last?.detail).toMatchObject({
    delayMs: 5000,
    why: { reason: "unreachable", message: "The server cannot be reached (gone)" },
  });
  await bench.clock.pass(5000);
  expect(bench.last?.detail).toMatchObject({ delayMs: 6000 });
});

test("a stream without a body is one that has ended", async () => {
  const bench = new FetchBench([() => new Response(null, ANSWER)]);
  await settled();
  expect(bench.last).toMatchObject({ detail: { why: { reason: "ended" } } });
});

test("options that cannot be used are refused at once, before anything is opened", () => {
  const requests: string[] = [];
  const fetch = (url: string): Promise<Response> => {
    requests.push(url);
    return Promise.reject(new Error("gone"));
  };
  for (const options of [{ url: "nowhere" }, { url: "ftp://x" }, { token: "a b" }]) {
    expect(() => connect({ url: "http://localhost", fetch, ...options })).toThrow();
  }
  expect(requests).toEqual([]);
});

test("a body is let go of when the stream is closed, also where fetch heeds no signal", async () => {
  let isCancelled = false;
  const answer = (): Response =>
    new Response(
      new ReadableStream({
        pull: async (controller) => {
          await settled();
          controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
        },
        cancel: () => {
          isCancelled = true;
        },
      }),
      ANSWER,
    );
  const bench = new FetchBench([answer], { onEvent: () => undefined });
  await settled();
  expect(isCancelled).toBe(false);
  bench.stream.close();
  for (let turn = 0; turn < 10; turn += 1) await settled();
  expect(isCancelled).toBe(true);
  expect(bench.clock.waits).toEqual([]);
});

test("who takes nothing is sent no more than may wait", async () => {
  let pulled = 0;
  const endless = (): Response =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new TextEncoder().encode(`id: ${pulled}\ndata: ${pulled}\n\n`));
        },
      }),
      ANSWER,
    );
  const bench = new FetchBench([endless], { maxBuffered: 100 });
  for (let turn = 0; turn < 20; turn += 1) await settled();
  expect(pulled).toBeWithin(100, 110);
  let taken = 0;
  for await (const { id } of bench.stream) {
    expect(id).toBe(String((taken += 1)));
    expect(pulled - taken).toBeLessThan(110);
    if (taken === 1000) break;
  }
});
