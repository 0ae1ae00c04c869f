import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { bearer, startJwtServer } from "./support/callers.ts";
import { chromiumAvailable, launchChromium, type Site } from "./support/chromium.ts";
import { startClientSite } from "./support/client-page.ts";
import { until } from "./support/feed.ts";
import { publish, type Settings, startLocalServer, startServer } from "./support/server.ts";
import type { OpenRequest } from "./support/tabs-page.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { hmacToken, inSeconds } from "./support/tokens.ts";

setDefaultTimeout(90_000);

/** What has the connection: the site's worker, or a tab where there is none. */
const HOSTS: readonly [string, Pick<OpenRequest, "worker">][] = [
  ["a worker", {}],
  ["a tab", { worker: "none" }],
];

const READER = { subscribe: ["*"], publish: ["*"], status: true };

describe.skipIf(!chromiumAvailable())("tabs in Chromium", () => {
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    browser = await launchChromium();
    site = await startClientSite({
      entry: join(import.meta.dir, "support/tabs-page.ts"),
      scripts: { "/tabs-worker.js": join(import.meta.dir, "../src/client/tabs-worker.ts") },
    });
  });

  afterAll(async () => {
    await browser.close();
    site[Symbol.dispose]();
  });

  const openTab = async (context: BrowserContext, request: OpenRequest): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(site.origin);
    await page.evaluate(`openStream(${JSON.stringify(request)})`);
    return page;
  };

  const openTabs = async (
    context: BrowserContext,
    count: number,
    request: OpenRequest,
  ): Promise<Page[]> => {
    const pages = await Promise.all(Array.from({ length: count }, () => openTab(context, request)));
    await Promise.all(pages.map((page) => page.waitForFunction(`status === "open"`)));
    return pages;
  };

  /** However busy the machine is: a tab does not wait long for a worker. */
  const startWorker = async (context: BrowserContext): Promise<AsyncDisposable> => {
    const page = await context.newPage();
    await page.goto(site.origin);
    await page.evaluate(`new Promise((resolve) => {
      const { port } = new SharedWorker("/tabs-worker.js", { type: "module" });
      port.onmessage = resolve;
      port.postMessage({ group: "nobody's", url: location.href });
    }).then(() => "started")`);
    return { [Symbol.asyncDispose]: () => page.close() };
  };

  const hasOne = (url: string, headers: Settings = {}): Promise<void> =>
    until(async () => (await connected(url, headers)) === 1);

  describe.each(HOSTS)("with the connection in %s", (hostName, host) => {
    test("B20 eight get each event once and in order over one connection, while others of them go", async () => {
      await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      const [first] = await openTabs(context, 1, { url: server.url, ...host });
      await using _worker = await startWorker(context);
      // The first is the host where there is no worker.
      const pages = await openTabs(context, 7, { url: server.url, ...host });
      await hasOne(server.url);
      const [crashed, left, ...staying] = pages;
      expect(await hostOf(staying[0])).toBe(hostName);
      const publishing = publishAll(server.url);
      await publishing.reaches(50);
      await first?.close();
      await publishing.reaches(150);
      if (crashed) await crash(crashed);
      await publishing.reaches(250);
      await left?.goto("about:blank");
      await publishing.reaches(350);
      const count = await publishing.end();
      for (const page of staying) {
        await page.waitForFunction(`got.length >= ${count}`);
        expect(await page.evaluate("got")).toEqual(upTo(count));
      }
      await hasOne(server.url);
      expect(staying).toHaveLength(5);
    });

    test("one that comes later with its position gets exactly the rest", async () => {
      await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      const request = { url: server.url, ...host };
      const [first, stored] = await openTabs(context, 2, { ...request, isStored: true });
      await publish(server.url, [{ data: 0 }, { data: 1 }]);
      await stored?.waitForFunction("got.length === 2");
      const lastEventId = String(await stored?.evaluate("lastEventId()"));
      await stored?.close();
      await publish(server.url, [{ data: 2 }, { data: 3 }]);
      await first?.waitForFunction("got.length === 4");
      const publishing = publishAll(server.url, 4);
      const late = await openTab(context, { ...request, lastEventId });
      const count = await publishing.end();
      await late.waitForFunction(`got.length >= ${count - 2}`);
      expect(await late.evaluate("got")).toEqual(upTo(count).slice(2));
      await hasOne(server.url);
    });

    test("all go on after the server has been started again", async () => {
      using directory = temporaryDirectory();
      const settings = { SSE_CORS_ORIGIN: site.origin, DATA_DIR: directory.path };
      await using context = await browser.newContext();
      let pages: Page[] = [];
      let port = "";
      {
        await using server = await startServer(settings);
        port = String(server.port);
        pages = await openTabs(context, 8, { url: server.url, ...host });
        await publish(server.url, [{ data: 0 }, { data: 1 }]);
        for (const page of pages) await page.waitForFunction("got.length === 2");
      }
      await using server = await startServer({ ...settings, PORT: port });
      await publish(server.url, [{ data: 2 }, { data: 3 }]);
      for (const page of pages) {
        await page.waitForFunction("got.length === 4");
        expect(await page.evaluate("got")).toEqual([0, 1, 2, 3]);
      }
      await hasOne(server.url);
    });

    test("a token that ends is replaced by the function of one of them", async () => {
      await using server = await startJwtServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      let given = 0;
      await context.exposeFunction("giveToken", (sub: string) => {
        given += 1;
        return hmacToken({ sub, headgate: READER, exp: inSeconds(3) });
      });
      const pages = await openTabs(context, 3, { url: server.url, tokenOf: "ann", ...host });
      const [givenBefore, startMs] = [given, performance.now()];
      const publishing = publishAll(server.url, 0, bearer(READER));
      await until(() => given > givenBefore);
      // Not before 5 s (token-source.ts), and for one connection: each tab's own would take three.
      expect(performance.now() - startMs).toBeGreaterThan(4000);
      const count = await publishing.end();
      for (const page of pages) {
        await page.waitForFunction(`got.length >= ${count}`);
        expect(await page.evaluate("got")).toEqual(upTo(count));
      }
      await hasOne(server.url, bearer(READER));
      expect(given - givenBefore).toBeLessThan(3);
    });

    test("two users get each their own, over a connection of each", async () => {
      await using server = await startJwtServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      await context.exposeFunction("giveToken", (sub: string) =>
        hmacToken({ sub, headgate: READER }),
      );
      const request = { url: server.url, ...host };
      const anns = await openTabs(context, 2, { ...request, tokenOf: "ann" });
      const bobs = await openTabs(context, 2, { ...request, tokenOf: "bob" });
      await until(async () => (await connected(server.url, bearer(READER))) === 2);
      const events = [
        { data: "for ann", to: { user: "ann" } },
        { data: "for bob", to: { user: "bob" } },
        { data: "for all" },
      ];
      await publish(server.url, events, bearer(READER));
      for (const [name, pages] of [["ann", anns] as const, ["bob", bobs] as const]) {
        for (const page of pages) {
          await page.waitForFunction(`got.includes("for all")`);
          expect(await page.evaluate("got")).toEqual([`for ${name}`, "for all"]);
        }
      }
    });

    test("with the last of them, and when all are left, the connection goes", async () => {
      await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      const pages = await openTabs(context, 2, { url: server.url, ...host });
      // Another page of the site keeps the worker alive.
      const other = await context.newPage();
      await other.goto(site.origin);
      await hasOne(server.url);
      const [first, second] = pages;
      await first?.goto("about:blank");
      await hasOne(server.url);
      if (second) await crash(second);
      await until(async () => (await connected(server.url, {})) === 0);
    });
  });

  test("a worker that ends is followed by a tab, and nothing is lost", async () => {
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
    await using context = await browser.newContext();
    await using _worker = await startWorker(context);
    const pages = await openTabs(context, 3, { url: server.url });
    expect(await hostOf(pages[0])).toBe("a worker");
    const publishing = publishAll(server.url);
    await publishing.reaches(50);
    await endWorkers(browser);
    await publishing.reaches(150);
    const count = await publishing.end();
    for (const page of pages) {
      await page.waitForFunction(`got.length >= ${count}`);
      expect(await page.evaluate("got")).toEqual(upTo(count));
    }
    await hasOne(server.url);
    expect(await hostOf(pages[0])).toBe("a tab");
  });

  test("a refusal reaches all of them", async () => {
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
    await using context = await browser.newContext();
    const request = { url: `${server.url}/nothing/here` };
    const pages = await Promise.all([openTab(context, request), openTab(context, request)]);
    for (const page of pages) await page.waitForFunction(`status === "error"`);
  });

  test.each(["/nothing.js", "/page.js", "/"])(
    "a worker %s that is none is done without",
    async (worker) => {
      await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
      await using context = await browser.newContext();
      const pages = await openTabs(context, 3, { url: server.url, worker });
      await publish(server.url, [{ data: 0 }, { data: 1 }]);
      for (const page of pages) {
        await page.waitForFunction("got.length === 2");
        expect(await page.evaluate("got")).toEqual([0, 1]);
      }
      await hasOne(server.url);
    },
  );
});

/** How many streams are open. */
async function connected(url: string, headers: Settings): Promise<number> {
  const answer = await (await fetch(`${url}/api/status`, { headers })).json();
  return (answer as { data: { connectedClients: number } }).data.connectedClients;
}

/** Who holds the lock of the one group that there is. Each tab holds one of its own beside it. */
async function hostOf(page: Page | undefined): Promise<string> {
  const locks = await page?.evaluate("navigator.locks.query().then(({ held }) => held)");
  const held = locks as readonly { name: string; clientId: string }[];
  const tabs = held.filter(({ name }) => !name.endsWith("]"));
  const host = held.find(({ name }) => name.endsWith("]"));
  return tabs.some(({ clientId }) => clientId === host?.clientId) ? "a tab" : "a worker";
}

async function endWorkers(browser: Browser): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  for (const { type, targetId } of targetInfos) {
    if (type === "shared_worker") await session.send("Target.closeTarget", { targetId });
  }
  await session.detach();
}

/** Ends the page's process, as a fault would. */
async function crash(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const crashed = new Promise((resolve) => {
    page.once("crash", resolve);
  });
  // It is never answered.
  session.send("Page.crash").catch(() => undefined);
  await crashed;
}

/** Publishes numbers, one after the other, until it is told to end. */
function publishAll(
  url: string,
  from = 0,
  headers: Settings = {},
): { reaches: (count: number) => Promise<void>; end: () => Promise<number> } {
  let count = from;
  const over = new AbortController();
  const run = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await publish(url, { data: count }, headers);
      count += 1;
      // Often enough that something is always on its way, and no test machine is busy with it.
      await Bun.sleep(2);
    }
  };
  const done = run();
  return {
    reaches: (target) => until(() => count >= target),
    end: async () => {
      over.abort();
      await done;
      return count;
    },
  };
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
