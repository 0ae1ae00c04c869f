import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import type { Browser, Page } from "playwright-core";
import { bearer, startJwtServer } from "./support/callers.ts";
import {
  chromiumAvailable,
  fetchIn,
  launchChromium,
  PageSource,
  type Site,
  startSite,
} from "./support/chromium.ts";
import { publish, startLocalServer } from "./support/server.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(30_000);

const READER = { subscribe: ["*"], publish: ["*"] };

/** A site, and somebody with a cookie who looks at it. */
interface Tab extends Site {
  readonly page: Page;
}

describe.skipIf(!chromiumAvailable())("in Chromium", () => {
  let browser: Browser;
  /** Pages of the server's own host on other ports: the browser sends it their cookies from there. */
  let listed: Tab;
  let unlisted: Tab;
  /** A page of another host. */
  let foreign: Tab;

  beforeAll(async () => {
    browser = await launchChromium();
    const context = await browser.newContext();
    // Cookies know no ports: all servers of these tests get it.
    const value = hmacToken({ headgate: READER });
    await context.addCookies([{ name: "headgate_token", value, url: "http://127.0.0.1" }]);
    const openTab = async (site: Site): Promise<Tab> => ({
      ...site,
      page: await context.newPage(),
    });
    listed = await openTab(startSite());
    unlisted = await openTab(startSite());
    foreign = await openTab(startSite("localhost"));
  });

  // A page of their own for each test: nothing of the last one goes on.
  beforeEach(async () => {
    for (const { page, origin } of [listed, unlisted, foreign]) await page.goto(origin);
  });

  afterAll(async () => {
    await browser.close();
    for (const tab of [listed, unlisted, foreign]) tab[Symbol.dispose]();
  });

  test("C10 a page of a listed origin reads with its cookie; pages of others with the same cookie do not", async () => {
    await using server = await startJwtServer({ SSE_CORS_ORIGIN: listed.origin });
    const { page } = listed;
    const source = await PageSource.open(page, `${server.url}/events`, { withCredentials: true });
    await source.has("live");
    await publish(server.url, { data: "for pages" }, bearer(READER));
    expect(await source.has("message")).toMatchObject([{ data: '"for pages"' }]);
    for (const site of [unlisted, foreign]) {
      const { page: other } = site;
      for (const withCredentials of [true, false]) {
        const refused = await PageSource.open(other, `${server.url}/events?since=earliest`, {
          withCredentials,
        });
        await refused.reaches("closed");
        expect(await refused.events()).toEqual([]);
      }
      const recent = `${server.url}/events/recent`;
      expect(await fetchIn(other, recent, { credentials: "include" })).toBe("refused");
    }
    // The unlisted one's cookie was good: the browser alone kept the events from its page.
    const metrics = await fetch(`${server.url}/metrics`, { headers: bearer({ status: true }) });
    expect(await metrics.text()).toInclude("\nsse_streams_opened_total 2\n");
    // The page of the listed origin, but not with its cookie.
    const without = await PageSource.open(page, `${server.url}/events`);
    await without.reaches("closed");
  });

  test("C10 without SSE_CORS_ORIGIN no page but the server's own reads, though all may without a token", async () => {
    await using server = await startLocalServer();
    await publish(server.url, { data: "secret" });
    for (const site of [unlisted, foreign]) {
      const { page } = site;
      const source = await PageSource.open(page, `${server.url}/events?since=earliest`);
      await source.reaches("closed");
      expect(await source.events()).toEqual([]);
      expect(await fetchIn(page, `${server.url}/events/recent`, {})).toBe("refused");
    }
  });

  test("C11 with SSE_CORS_ORIGIN=* any page reads with a token in the query, and none with a cookie", async () => {
    await using server = await startJwtServer({
      SSE_CORS_ORIGIN: "*",
      SSE_ALLOW_QUERY_TOKEN: "true",
    });
    const token = hmacToken({ headgate: READER });
    for (const site of [unlisted, foreign]) {
      const { page } = site;
      const url = `${server.url}/events`;
      const source = await PageSource.open(page, `${url}?token=${token}`);
      await source.has("live");
      const withCookie = await PageSource.open(page, url, { withCredentials: true });
      await withCookie.reaches("closed");
      expect(await withCookie.events()).toEqual([]);
      const recent = `${server.url}/events/recent`;
      expect(await fetchIn(page, recent, { credentials: "include" })).toBe("refused");
      const headers = { Authorization: `Bearer ${token}` };
      expect(await fetchIn(page, recent, { headers })).toBe(200);
    }
  });

  test("events come with their names, their ids and every line of their data", async () => {
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: listed.origin });
    const { page } = listed;
    const source = await PageSource.open(page, `${server.url}/events`, {
      types: ["order.created", "delete", "binary"],
    });
    const [connection] = await source.has("connection");
    await source.has("live");
    const record = (value: string | Uint8Array | null, type?: string) => ({
      topic: "events",
      key: Buffer.from("k"),
      value: typeof value === "string" ? Buffer.from(value) : value,
      headers: type === undefined ? [] : ([["type", Buffer.from(type)]] as const),
    });
    await server.headgate.publishRecords([
      record('{"n":9007199254740993}', "order.created"),
      record("a\r\nb\rc\n\nd: e "),
      record(""),
      record("\uFEFF\u2028 é 😀"),
      record(new Uint8Array([0, 255])),
      record(null),
      record("last", "order.created"),
    ]);
    await source.has("order.created", 2);
    const events = (await source.events()).slice(2);
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      ["order.created", '{"n":9007199254740993}'],
      ["message", "a\nb\nc\n\nd: e "],
      ["message", ""],
      ["message", "\uFEFF\u2028 é 😀"],
      ["binary", "AP8="],
      ["delete", '"k"'],
      ["order.created", "last"],
    ]);
    const start = connection?.id.replace(/0$/, "") ?? "";
    expect(events.map(({ id }) => id)).toEqual(events.map((_, i) => `${start}${i + 1}`));
  });

  test("a stream that the server ends goes on from the last id, again and again, without a gap or a repetition", async () => {
    await using server = await startLocalServer({
      SSE_CORS_ORIGIN: listed.origin,
      SSE_MAX_CONNECTION_AGE: "300",
      SSE_CLEANUP_INTERVAL: "20",
      SSE_RETRY_MS: "100",
    });
    const { page } = listed;
    const source = await PageSource.open(page, `${server.url}/events`);
    await source.has("live");
    const done = new AbortController();
    const enough = source.opened(4).finally(() => done.abort());
    const sent: string[] = [];
    while (!done.signal.aborted) {
      expect((await publish(server.url, { data: sent.length })).status).toBe(200);
      sent.push(String(sent.length));
      // Leaves Chromium some of the machine.
      await Bun.sleep(2);
    }
    await enough;
    const got = await source.has("message", sent.length);
    expect(got.map(({ data }) => data)).toEqual(sent);
    const [first, ...later] = await source.named("connection");
    expect(JSON.parse(first?.data ?? "")).toMatchObject({ resumed: false });
    for (const { data } of later) expect(JSON.parse(data)).toMatchObject({ resumed: true });
    expect(await source.named("reset")).toEqual([]);
    const [close] = await source.named("close");
    expect(JSON.parse(close?.data ?? "")).toEqual({ reason: "max-age", reconnect: true });
  });

  test("C6 a page whose token expires is told so, and comes back no more", async () => {
    await using server = await startJwtServer({
      SSE_CORS_ORIGIN: listed.origin,
      SSE_ALLOW_QUERY_TOKEN: "true",
      SSE_CLEANUP_INTERVAL: "20",
      SSE_RETRY_MS: "100",
    });
    const token = hmacToken({ headgate: READER, exp: Date.now() / 1000 + 1.5 });
    const source = await PageSource.open(listed.page, `${server.url}/events?token=${token}`);
    await source.has("live");
    const [close] = await source.has("close");
    expect(JSON.parse(close?.data ?? "")).toEqual({ reason: "token-expired", reconnect: false });
    // What comes back is 401, the only thing that stops an EventSource.
    await source.reaches("closed");
    expect(await source.named("connection")).toHaveLength(1);
  });

  test("E7 a second tab above SSE_MAX_CONNECTIONS_PER_IP is told when to come back, and does", async () => {
    await using server = await startLocalServer({
      SSE_CORS_ORIGIN: listed.origin,
      SSE_MAX_CONNECTIONS_PER_IP: "1",
    });
    const first = listed.page;
    const second = await first.context().newPage();
    await second.goto(listed.origin);
    const url = `${server.url}/events`;
    await (await PageSource.open(first, url)).has("live");
    // Five seconds and more are long for a test: the page is told less than the server says.
    let retry = 0;
    await second.route(
      url,
      async (route) => {
        const response = await route.fetch();
        const body = await response.text();
        retry = Number(/^retry: (\d+)$/m.exec(body)?.[1]);
        await route.fulfill({ response, body: body.replace(/^retry: \d+$/m, "retry: 500") });
      },
      { times: 1 },
    );
    const source = await PageSource.open(second, url);
    const [close] = await source.has("close");
    expect(JSON.parse(close?.data ?? "")).toEqual({
      reason: "too-many-connections",
      reconnect: true,
    });
    expect(retry).toBeWithin(5000, 15_001);
    expect(await source.readyState()).toBe("connecting");
    // The first tab goes elsewhere.
    await first.goto(foreign.origin);
    await source.has("live");
  });
});
