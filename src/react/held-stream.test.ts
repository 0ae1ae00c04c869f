import { expect, spyOn, test } from "bun:test";
import type { connect } from "../client/connect.ts";
import { type Stream, StreamError, type StreamEvent, type StreamStatus } from "../client/stream.ts";
import type { StreamOptions } from "../client/stream-options.ts";
import type { HeldOptions } from "./held-options.ts";
import { HeldStream } from "./held-stream.ts";

/** A stream that does what a test says. */
class FakeStream implements Stream {
  readonly options: StreamOptions;
  status: StreamStatus = "connecting";
  error: StreamError | undefined;
  lastEventId: string | undefined;
  retries = 0;

  constructor(options: StreamOptions) {
    this.options = options;
    this.lastEventId = options.lastEventId;
  }

  says(status: StreamStatus): void {
    this.status = status;
    const why = { reason: "refused", message: "No" };
    if (status === "error") this.error = new StreamError(why);
    this.options.onStatus?.(status, status === "error" ? { why } : {});
  }

  /** As the client does: the position moves on once the event has been dealt with. */
  async brings(id: string): Promise<void> {
    await this.options.onEvent?.(event(id));
    this.lastEventId = id;
  }

  retryNow(): void {
    this.retries += 1;
  }

  close(): void {
    if (this.status !== "error") this.says("closed");
  }

  [Symbol.asyncIterator](): never {
    throw new Error("Its events are taken by onEvent");
  }
}

function event(id: string): StreamEvent {
  return { type: "message", data: id, text: id, id };
}

function setUp(options: HeldOptions = {}) {
  const streams: FakeStream[] = [];
  const open = ((settings: StreamOptions) => {
    const stream = new FakeStream(settings);
    streams.push(stream);
    return stream;
    // Whatever the events are: these come from no schema.
  }) as typeof connect;
  const held = new HeldStream({ connect: open, ...options });
  return {
    held,
    streams,
    /** A render with these options: the effect of before is taken back, and done anew. */
    render: (next: HeldOptions, release?: () => void) => {
      held.update({ connect: open, ...next });
      release?.();
      return held.hold();
    },
    statuses: () => streams.map(({ status }) => status),
  };
}

test("held, let go of and held again at once, it is one stream; let go of, it is closed", async () => {
  const { held, statuses } = setUp();
  held.hold()();
  const release = held.hold();
  await Promise.resolve();
  expect(statuses()).toEqual(["connecting"]);
  release();
  await Promise.resolve();
  expect(statuses()).toEqual(["closed"]);
  expect(held.getState().status).toBe("connecting");
});

test("held again later, it goes on where it was", async () => {
  const { held, streams } = setUp({ recent: 10 });
  const release = held.hold();
  await streams[0]?.brings("1");
  release();
  await Promise.resolve();
  held.hold();
  expect(streams.map(({ options }) => options.lastEventId)).toEqual([undefined, "1"]);
});

test("with other options another is opened, after the event that brought them", async () => {
  const { held, streams, render, statuses } = setUp({ topics: ["a"] });
  const release = held.hold();
  held.handlers.add("*", ({ id }) => {
    if (id === "2") render({ topics: ["a", "b"] }, release);
  });
  await streams[0]?.brings("1");
  // Its position moves on after the handler, and the other stream is opened in it.
  await streams[0]?.brings("2");
  expect(statuses()).toEqual(["closed", "connecting"]);
  expect(streams[1]?.options).toMatchObject({ topics: ["a", "b"], lastEventId: "2" });
});

test("options that change twice before anything has come lose no position", () => {
  const { streams, render } = setUp();
  const release = render({ topics: ["a"], lastEventId: "7" });
  const [first] = streams;
  if (first) first.lastEventId = undefined;
  render({ topics: ["b"] }, release);
  expect(streams[1]?.options.lastEventId).toBe("7");
});

test("disconnected it stays closed, whatever changes, until it is connected, and then goes on", async () => {
  const { held, streams, render } = setUp();
  const statuses: StreamStatus[] = [];
  const onStatus = (status: StreamStatus): void => void statuses.push(status);
  const release = render({ onStatus });
  await streams[0]?.brings("1");
  held.disconnect();
  held.disconnect();
  expect(held.getState().status).toBe("closed");
  expect(statuses).toEqual(["closed"]);
  render({ onStatus, topics: ["b"] }, release);
  await Promise.resolve();
  expect(streams).toHaveLength(1);
  expect(held.getState().status).toBe("closed");
  held.connect();
  expect(held.getState().status).toBe("connecting");
  expect(streams[1]?.options).toMatchObject({ topics: ["b"], lastEventId: "1" });
});

test("connect makes the next attempt at once, comes back from an error, and opens nothing unheld", async () => {
  const { held, streams } = setUp();
  held.connect();
  expect(streams).toHaveLength(0);
  const release = held.hold();
  streams[0]?.says("reconnecting");
  held.connect();
  expect(streams).toHaveLength(1);
  expect(streams[0]?.retries).toBe(1);
  streams[0]?.says("error");
  expect(held.getState()).toEqual({ status: "error", error: expect.any(StreamError) });
  held.connect();
  expect(streams).toHaveLength(2);
  expect(held.getState()).toEqual({ status: "connecting", error: undefined });
  release();
  await Promise.resolve();
  held.connect();
  expect(streams).toHaveLength(2);
});

test("what an older stream says and brings is not listened to", async () => {
  const { held, streams, render } = setUp({ topics: ["a"] });
  const got: string[] = [];
  held.handlers.add("*", ({ id }) => void got.push(id));
  render({ topics: ["b"] }, held.hold());
  await streams[0]?.brings("1");
  streams[0]?.says("error");
  await streams[1]?.brings("2");
  expect(got).toEqual(["2"]);
  expect(held.getState().status).toBe("connecting");
});

test("listeners hear of each change once, and of none where nothing changes", () => {
  const { held, streams } = setUp();
  let calls = 0;
  held.subscribe(() => void (calls += 1));
  held.hold();
  for (const status of ["open", "open", "reconnecting", "reconnecting"] as const) {
    streams[0]?.says(status);
  }
  expect(calls).toBe(2);
});

test("callbacks and the token are those of the last render", async () => {
  const { streams, render } = setUp();
  const got: string[] = [];
  const options = (name: string): HeldOptions => ({
    token: () => name,
    onEvent: ({ id }) => void got.push(`${name} ${id}`),
    onReset: ({ reason }) => void got.push(`${name} ${reason}`),
  });
  render(options("second"), render(options("first")));
  const [stream] = streams;
  await stream?.brings("1");
  stream?.options.onReset?.({ reason: "lagged", topics: [] });
  const { token } = stream?.options ?? {};
  expect(typeof token === "function" && token()).toBe("second");
  expect(got).toEqual(["second 1", "second lagged"]);
  expect(streams).toHaveLength(1);
});

test("a reset that nobody listens to is a warning", () => {
  const { held, streams } = setUp();
  held.hold();
  const warned = spyOn(console, "warn").mockImplementation(() => undefined);
  const notice = { reason: "expired", topics: ["a"] };
  streams[0]?.options.onReset?.(notice);
  const { calls } = warned.mock;
  warned.mockRestore();
  expect(calls).toEqual([["Headgate: events may be missing", notice]]);
});

test("options that cannot be used are thrown, and the next ones are used", () => {
  const { held, streams, render } = setUp();
  const refuse: typeof connect = () => {
    throw new TypeError("no address");
  };
  expect(() => render({ url: "nowhere", connect: refuse })).toThrow("no address");
  expect(held.getState().status).toBe("connecting");
  render({ url: "https://a.example" });
  expect(streams).toHaveLength(1);
});
