import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { ALL, startJwtServer } from "./support/callers.ts";
import { chromiumAvailable, launchChromium, type Site } from "./support/chromium.ts";
import { startClientSite } from "./support/client-page.ts";
import { publishNumbers } from "./support/client-stream.ts";
import { CutProxy } from "./support/cut-proxy.ts";
import { until } from "./support/feed.ts";
import type { ReadRequest } from "./support/reader-page.ts";
import { publish, type Settings, startLocalServer } from "./support/server.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(60_000);

const numbers = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

const TRANSPORTS = [
  ["fetch", false],
  ["a native EventSource", true],
] as const;

describe.skipIf(!chromiumAvailable())("the client in Chromium", () => {
  let browser: Browser;
  let site: Site;
  let settings: Settings;

  beforeAll(async () => {
    browser = await launchChromium();
    site = await startClientSite({ entry: join(import.meta.dir, "support/reader-page.ts") });
    settings = { SSE_CORS_ORIGIN: site.origin, SSE_RETRY_MS: "100" };
  });

  afterAll(async () => {
    await browser.close();
    site[Symbol.dispose]();
  });

  const openPage = async (context: BrowserContext): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(site.origin);
    return page;
  };

  const read = async (page: Page, request: ReadRequest): Promise<void> => {
    await page.evaluate(`read(${JSON.stringify(request)})`);
    await page.waitForFunction(`stream.status === "open"`);
  };

  const got = (page: Page): Promise<number[]> => page.evaluate("got");

  const told = (page: Page): Promise<string[]> => page.evaluate("told");

  const has = async (page: Page, count: number): Promise<number[]> => {
    await page.waitForFunction(`got.length >= ${count}`);
    return got(page);
  };

  const publishRange = async (url: string, count: number, first: number): Promise<void> => {
    await publish(
      url,
      numbers(count, first).map((n) => ({ data: n })),
    );
  };

  test.each(TRANSPORTS)(
    "%s reads from another origin, is cut, and goes on where it was",
    async (_, isNative) => {
      await using server = await startLocalServer(settings);
      await using proxy = await CutProxy.start(server.port);
      await using context = await browser.newContext();
      const page = await openPage(context);
      await read(page, { url: proxy.url, isNative, topics: ["events"], types: ["message"] });
      await publishRange(server.url, 10, 0);
      await has(page, 10);
      proxy.cutAfter(100);
      await publishRange(server.url, 20, 10);
      await proxy.wasCut();
      await proxy.hasRefused(1);
      proxy.up();
      expect(await has(page, 30)).toEqual(numbers(30));
      expect(await page.evaluate("resets")).toEqual([]);
      expect(new Set(await told(page))).toEqual(
        new Set(["connecting", "open", "reconnecting unreachable"]),
      );
    },
  );

  test.each(TRANSPORTS)("C5 %s is known by a cookie, or by its token", async (_, isNative) => {
    await using server = await startJwtServer({ ...settings, SSE_ALLOW_QUERY_TOKEN: "true" });
    await server.headgate.publishRecords([
      { topic: "events", key: null, value: Buffer.from("7"), headers: [] },
    ]);
    const token = hmacToken({ headgate: ALL });
    const request = { url: server.url, isNative, since: "earliest" };
    await using context = await browser.newContext();
    const byToken = await openPage(context);
    await read(byToken, { ...request, token });
    expect(await has(byToken, 1)).toEqual([7]);
    // Cookies are of a host, whatever its port.
    await context.addCookies([{ name: "headgate_token", value: token, url: server.url }]);
    const byCookie = await openPage(context);
    await read(byCookie, { ...request, withCredentials: true });
    expect(await has(byCookie, 1)).toEqual([7]);
  });

  test("a page that is loaded again goes on where it was: none lost, none twice", async () => {
    await using server = await startLocalServer(settings);
    await using context = await browser.newContext();
    const page = await openPage(context);
    const publisher = publishNumbers(server.url);
    const all: number[] = [];
    for (let load = 0; load < 5; load += 1) {
      await read(page, { url: server.url, isStored: true, since: "earliest" });
      await has(page, 20);
      // What a page has dealt with by the time that it is left, and no later.
      await page.evaluate(
        `addEventListener("pagehide", () => sessionStorage.setItem("seen", JSON.stringify(got)))`,
      );
      await page.reload();
      all.push(...(JSON.parse(await page.evaluate(`sessionStorage.getItem("seen")`)) as number[]));
    }
    await publisher.stop();
    await read(page, { url: server.url, isStored: true, since: "earliest" });
    const { length } = publisher.acknowledged;
    all.push(...(await has(page, length - all.length)));
    expect(all).toEqual([...publisher.acknowledged]);
  });

  test("a page that pauses while it is hidden gets what it has missed when it is shown", async () => {
    await using server = await startLocalServer(settings);
    await using context = await browser.newContext();
    const page = await openPage(context);
    await read(page, { url: server.url, pauseWhenHidden: true });
    await publishRange(server.url, 5, 0);
    await has(page, 5);
    // Chromium without windows hides no page by itself.
    await page.evaluate(`{
      let state = "visible";
      Object.defineProperty(document, "visibilityState", { get: () => state });
      window.turn = (next) => {
        state = next;
        document.dispatchEvent(new Event("visibilitychange"));
      };
      turn("hidden");
    }`);
    expect((await told(page)).at(-1)).toBe("reconnecting hidden");
    const clients = async (): Promise<unknown> => {
      const status = await fetch(`${server.url}/api/status`);
      const { data } = (await status.json()) as { data: { connectedClients: number } };
      return data.connectedClients;
    };
    await until(async () => (await clients()) === 0);
    await publishRange(server.url, 5, 5);
    await page.evaluate(`turn("visible"); turn("hidden"); turn("visible")`);
    expect(await has(page, 10)).toEqual(numbers(10));
    expect(await page.evaluate("stream.status")).toBe("open");
  });

  test("a page that was without a network comes back as soon as it has one, and misses nothing", async () => {
    await using server = await startLocalServer(settings);
    await using proxy = await CutProxy.start(server.port);
    await using context = await browser.newContext();
    const page = await openPage(context);
    // By itself it would come back when the test is long over.
    await read(page, { url: proxy.url, firstWaitMs: 3_600_000 });
    await publishRange(server.url, 5, 0);
    await has(page, 5);
    await context.setOffline(true);
    proxy.cutAfter(1);
    await publishRange(server.url, 5, 5);
    await proxy.wasCut();
    proxy.up();
    await page.waitForFunction(`stream.status === "reconnecting"`);
    await context.setOffline(false);
    expect(await has(page, 10)).toEqual(numbers(10));
  });

  test("E12 a page that comes back from the back-forward cache goes on where it was", async () => {
    await using caching = await launchCachingChromium();
    await using server = await startLocalServer(settings);
    await using proxy = await CutProxy.start(server.port);
    await using context = await caching.newContext();
    const page = await openPage(context);
    await read(page, { url: proxy.url });
    await publishRange(server.url, 5, 0);
    await has(page, 5);
    await page.evaluate(`window.isTheSame = true`);
    await page.goto(`${site.origin.replace("127.0.0.1", "localhost")}/`);
    proxy.cutAfter(1);
    await publishRange(server.url, 5, 5);
    await proxy.wasCut();
    proxy.up();
    // What was kept is not loaded.
    await page.goBack({ waitUntil: "commit" });
    expect(await has(page, 10)).toEqual(numbers(10));
    expect(await page.evaluate("window.isTheSame")).toBe(true);
  });
});

/** With the cache for pages that were left, which playwright turns off. */
function launchCachingChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: Bun.which("chromium") ?? "chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-gpu"],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
}
