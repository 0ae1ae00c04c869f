import { afterEach, beforeEach, expect, test } from "bun:test";
import { settled } from "../../test/support/manual-clock.ts";
import { connect } from "./connect.ts";
import { nativeEventSource } from "./native-event-source.ts";
import type { Stream } from "./stream.ts";
import type { StreamOptions } from "./stream-options.ts";

/** A browser's EventSource that does what a test says. */
class FakeEventSource {
  static readonly all: FakeEventSource[] = [];
  readonly url: string;
  readonly withCredentials: boolean;
  isClosed = false;
  readonly #listeners = new Map<string, (event: object) => void>();

  constructor(url: string, { withCredentials }: { withCredentials: boolean }) {
    this.url = url;
    this.withCredentials = withCredentials;
    FakeEventSource.all.push(this);
  }

  static get last(): FakeEventSource {
    const last = this.all.at(-1);
    if (!last) throw new Error("None was made");
    return last;
  }

  addEventListener(type: string, listener: (event: object) => void): void {
    if (this.#listeners.has(type)) throw new Error(`${type} would be heard twice`);
    this.#listeners.set(type, listener);
  }

  close(): void {
    this.isClosed = true;
  }

  get types(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  async dispatch(type: string, data = "", lastEventId = ""): Promise<void> {
    if (!this.isClosed) this.#listeners.get(type)?.({ type, data, lastEventId });
    await settled();
  }
}

const page = globalThis as { EventSource?: unknown };
let streams: Stream[] = [];

beforeEach(() => {
  FakeEventSource.all.length = 0;
  page.EventSource = FakeEventSource;
});

afterEach(() => {
  for (const stream of streams) stream.close();
  streams = [];
  Reflect.deleteProperty(page, "EventSource");
});

async function open(options: StreamOptions): Promise<{ ids: string[]; stream: Stream }> {
  const ids: string[] = [];
  const stream = connect({
    url: "http://localhost",
    transport: nativeEventSource,
    onEvent: ({ id }) => void ids.push(id),
    ...options,
  });
  streams.push(stream);
  await settled();
  return { ids, stream };
}

test("the token and the position travel in the address, and commas between items stay", async () => {
  await open({ topics: ["a", "b"], token: "t&o=", lastEventId: "1~a~x~1", withCredentials: true });
  expect(FakeEventSource.last.url).toBe(
    "http://localhost/events?topics=a,b&token=t%26o%3D&lastEventId=1~a~x~1",
  );
  expect(FakeEventSource.last.withCredentials).toBe(true);
  await open({});
  expect(FakeEventSource.last.url).toBe("http://localhost/events");
  expect(FakeEventSource.last.withCredentials).toBe(false);
});

test("each type is heard once: those that were asked for, and those that always come", async () => {
  const { ids, stream } = await open({ types: ["order", "message", "order", "delete"] });
  expect(FakeEventSource.last.types.toSorted().join(" ")).toBe(
    "close connection delete error heartbeat live message order reset skipped",
  );
  await FakeEventSource.last.dispatch("connection", "{}", "p0");
  expect(stream.status).toBe("open");
  await FakeEventSource.last.dispatch("order", "1", "p1");
  await FakeEventSource.last.dispatch("heartbeat", "", "p2");
  expect(ids).toEqual(["p1"]);
  expect(stream.lastEventId).toBe("p2");
});

test("until another id comes, the one of the address counts", async () => {
  const { stream } = await open({ lastEventId: "p5" });
  await FakeEventSource.last.dispatch("connection", "{}", "");
  expect(stream.lastEventId).toBe("p5");
  await FakeEventSource.last.dispatch("error");
  stream.retryNow();
  await settled();
  expect(FakeEventSource.all).toHaveLength(2);
  expect(FakeEventSource.last.url).toEndWith("lastEventId=p5");
});

test("one that was cut is closed, and another one is made with the last id", async () => {
  const { ids, stream } = await open({});
  const { last: first } = FakeEventSource;
  await first.dispatch("message", "1", "p1");
  await first.dispatch("error");
  expect(first.isClosed).toBe(true);
  expect(stream.status).toBe("reconnecting");
  stream.retryNow();
  await settled();
  expect(FakeEventSource.all).toHaveLength(2);
  expect(FakeEventSource.last.url).toEndWith("/events?lastEventId=p1");
  await FakeEventSource.last.dispatch("message", "2", "p2");
  expect(ids).toEqual(["p1", "p2"]);
});

test("what cannot be read of a close is no reason to fail", async () => {
  const { stream } = await open({});
  await FakeEventSource.last.dispatch("close", "{");
  await FakeEventSource.last.dispatch("error");
  expect(stream.status).toBe("reconnecting");
});

test("who takes nothing ends the connection, until there is room", async () => {
  const ids: string[] = [];
  const done: (() => void)[] = [];
  await open({
    maxBuffered: 2,
    onEvent: async ({ id }) => {
      ids.push(id);
      await new Promise<void>((resolve) => done.push(resolve));
    },
  });
  const { last: first } = FakeEventSource;
  // One is dealt with, two wait.
  for (const id of ["p1", "p2", "p3", "p4"]) await first.dispatch("message", "", id);
  expect(first.isClosed).toBe(true);
  expect(FakeEventSource.all).toHaveLength(1);
  while (FakeEventSource.all.length === 1) {
    expect(done.length).toBeGreaterThan(0);
    done.shift()?.();
    await settled();
  }
  expect(FakeEventSource.last.url).toEndWith("lastEventId=p3");
  expect(ids).not.toContain("p4");
});

test("a stream that is closed closes its EventSource", async () => {
  const { stream } = await open({});
  stream.close();
  expect(FakeEventSource.last.isClosed).toBe(true);
});

test("it is refused at once where there is none, or where a type is a pattern", () => {
  const url = "http://localhost";
  expect(() => connect({ url, transport: nativeEventSource, types: ["order.*"] })).toThrow(
    "has to know each type by name, not order.*",
  );
  Reflect.deleteProperty(page, "EventSource");
  expect(() => connect({ url, transport: nativeEventSource })).toThrow("There is no EventSource");
});
