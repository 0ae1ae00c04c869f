import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { chromiumAvailable, launchChromium, PageSource, startSite } from "./chromium.ts";
import { freePort } from "./kafka-node.ts";
import { BEHIND_PROXY, startBehind, startProxy } from "./proxied-server.ts";
import type { Proxy } from "./proxy-process.ts";
import { publish, startServer } from "./server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** More than the six connections that browsers make to a host over HTTP/1.1. */
const STREAMS = 12;

/** What any proxy of `deploy/` must do for an EventSource in Chromium. */
export function testProxyInChromium(proxy: Proxy): void {
  const isSkipped = !chromiumAvailable();
  let browser: Browser;

  beforeAll(async () => {
    if (!isSkipped) browser = await launchChromium();
  });

  afterAll(async () => {
    if (!isSkipped) await browser.close();
  });

  /** A page of a context of its own, which takes the proxy's certificate. */
  async function openPage(url: string): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  test.skipIf(isSkipped)("one page has a dozen streams over HTTP/2", async () => {
    await using behind = await startBehind(proxy);
    const { origin } = behind.client;
    const page = await openPage(`${origin}/health`);
    const sources: PageSource[] = [];
    for (let i = 0; i < STREAMS; i += 1)
      sources.push(await PageSource.open(page, `${origin}/events`));
    for (const source of sources) await source.has("live");
    await publish(behind.server.url, { data: "for all of them" });
    for (const source of sources) {
      expect(await source.has("message")).toMatchObject([{ data: '"for all of them"' }]);
    }
  });

  test.skipIf(isSkipped)(
    "after kill -9 of the server a page of another origin comes back by itself, and gets the rest, each event once",
    async () => {
      using directory = temporaryDirectory();
      using site = startSite();
      const port = await freePort();
      const settings = {
        ...BEHIND_PROXY,
        PORT: String(port),
        DATA_DIR: directory.path,
        SSE_CORS_ORIGIN: site.origin,
        SSE_RETRY_MS: "200",
      };
      await using proxied = await startProxy(proxy, port, { retryMs: 200, origin: site.origin });
      const page = await openPage(site.origin);
      let source: PageSource;
      {
        await using server = await startServer(settings);
        // A proxy that has asked before the server was there asks again.
        source = await PageSource.open(page, `${proxied.client.origin}/events`, {
          withCredentials: true,
        });
        await source.has("live");
        await publish(server.url, [{ data: 1 }, { data: 2 }]);
        await source.has("message", 2);
        server.kill("SIGKILL");
        await server.exited;
      }
      // It is told several times to come back; any other status would have been its end.
      await source.opened(5);
      expect((await proxied.client.publish({ data: 0 })).status).toBeWithin(502, 505);
      await using again = await startServer(settings);
      await publish(again.url, [{ data: 3 }, { data: 4 }]);
      await source.has("message", 4);
      await publish(again.url, { data: 5 });
      const got = await source.has("message", 5);
      expect(got.map(({ data }) => data)).toEqual(["1", "2", "3", "4", "5"]);
      expect(await source.named("reset")).toEqual([]);
      const [first, second, ...more] = await source.named("connection");
      expect(JSON.parse(first?.data ?? "")).toMatchObject({ resumed: false });
      expect(JSON.parse(second?.data ?? "")).toMatchObject({ resumed: true });
      expect(more).toEqual([]);
    },
  );
}
