import { describe, expect, test } from "bun:test";
import { FakeBrowser, seededChance } from "../../test/support/fake-tabs.ts";
import { systemClock } from "./clock.ts";
import { connectShared, memberSource } from "./connect-shared.ts";
import type { Frame } from "./frame-source.ts";
import { Gate } from "./gate.ts";

const STREAM = { headers: { "Content-Type": "text/event-stream" } };

test("where tabs cannot find one another, it is a connection of its own", async () => {
  const requests: string[] = [];
  const stream = connectShared({
    url: "http://127.0.0.1:1",
    topics: ["orders"],
    fetch: (url) => {
      requests.push(url);
      return Promise.resolve(new Response("id: 1\ndata: 42\n\n", STREAM));
    },
  });
  for await (const { data, id } of stream) {
    expect({ data, id }).toEqual({ data: 42, id: "1" });
    break;
  }
  expect(requests).toEqual(["http://127.0.0.1:1/events?topics=orders"]);
});

test("options that cannot be used are refused at once", () => {
  expect(() => connectShared({ url: "ftp://127.0.0.1" })).toThrow(TypeError);
});

describe("the name of a group", () => {
  /** The lock's that a tab asks for. */
  async function nameOf(
    url: string,
    { token, ...options }: Parameters<typeof memberSource>[0] & { token?: string } = {},
  ): Promise<string | undefined> {
    const { tabs } = new FakeBrowser(seededChance(1)).open();
    const names: string[] = [];
    const openChannel = (name: string): ReturnType<typeof tabs.openChannel> => {
      names.push(name);
      return tabs.openChannel(name);
    };
    const source = memberSource(options, { ...tabs, openChannel })({
      url,
      types: undefined,
      clock: systemClock,
      gate: new Gate(),
      token: { isRenewable: false, get: () => Promise.resolve(token) },
      onFrame: () => undefined,
      onState: () => undefined,
    });
    source.start();
    await new Promise(setImmediate);
    source.stop();
    return names[0];
  }

  const token = (claims: object): string => `e30.${btoa(JSON.stringify(claims))}.x`;
  const url = "http://127.0.0.1/events";

  test("is the same for the same stream and user, whatever else a token says", async () => {
    const first = await nameOf(url, { token: token({ sub: "ann", exp: 1, jti: "a" }) });
    const second = await nameOf(url, { token: token({ sub: "ann", exp: 2, jti: "b" }) });
    expect(first).toBeDefined();
    expect(second).toBe(first);
  });

  test("is another one for another stream, user, right, group and use of cookies", async () => {
    const names = await Promise.all([
      nameOf(url),
      nameOf(`${url}?topics=orders`),
      nameOf(url, { group: "ann" }),
      nameOf(url, { withCredentials: true }),
      nameOf(url, { token: token({ sub: "ann" }) }),
      nameOf(url, { token: token({ sub: "bob" }) }),
      nameOf(url, { token: token({ sub: "bob", iss: "https://other.example" }) }),
      nameOf(url, { token: token({ sub: "bob", headgate: { subscribe: ["*"] } }) }),
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  test("holds no token", async () => {
    const secret = token({ sub: "ann" });
    expect(await nameOf(url, { token: secret })).not.toContain(secret.slice(4));
  });
});

test.each([
  ["", {}, 1],
  ["with a fetch of its own", { fetch: () => new Promise<never>(() => undefined) }, 0],
  [
    "with a transport of its own",
    { transport: () => () => new Promise<never>(() => undefined) },
    0,
  ],
])("a page %s: a worker may have its connection, or must not", async (_name, options, workers) => {
  const browser = new FakeBrowser(seededChance(1));
  const { tabs, clock } = browser.open();
  let made = 0;
  const worker = (): never => {
    made += 1;
    throw new Error("none here");
  };
  const source = memberSource(
    { ...options, worker },
    tabs,
  )({
    url: "http://127.0.0.1:1/events",
    types: undefined,
    clock,
    gate: new Gate(),
    token: { isRenewable: false, get: () => Promise.resolve(undefined) },
    onFrame: () => undefined,
    onState: () => undefined,
  });
  source.start();
  await new Promise(setImmediate);
  // Its own lock; then it looks for a worker, before it stands for host.
  browser.step();
  source.stop();
  expect(made).toBe(workers);
});

describe("a tab that comes later and has no position", () => {
  test.each([
    ["/events", 1],
    ["/events?topics=orders&since=latest", 1],
    ["/events?topics=recent", 1],
    // It has a past of its own to get first.
    ["/events?since=15m", 2],
    ["/events?recent=5", 2],
    ["/events?topics=a&since=earliest", 2],
    ["/stream", 2],
  ])("at %s needs %p connections", async (path, connections) => {
    const browser = new FakeBrowser(seededChance(1));
    const sends: ((type: string) => void)[] = [];
    const open = (): void => {
      const { tabs, clock } = browser.open();
      const transport = () => (_request: unknown, sink: { onFrame: (frame: Frame) => void }) => {
        sends.push((type) => sink.onFrame({ type, id: "1", data: "{}" }));
        return new Promise<never>(() => undefined);
      };
      memberSource(
        { transport },
        tabs,
      )({
        url: `http://127.0.0.1${path}`,
        types: undefined,
        clock,
        gate: new Gate(),
        token: { isRenewable: false, get: () => Promise.resolve(undefined) },
        onFrame: () => undefined,
        onState: () => undefined,
      }).start();
    };
    const settle = async (): Promise<void> => {
      for (let idle = 0; idle < 3; idle += browser.isBusy ? 0 : 1) {
        browser.step();
        await new Promise(setImmediate);
      }
    };
    open();
    await settle();
    for (const type of ["connection", "live"]) sends[0]?.(type);
    await settle();
    open();
    await settle();
    expect(sends).toHaveLength(connections);
  });
});
