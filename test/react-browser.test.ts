import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { chromiumAvailable, launchChromium, type Site } from "./support/chromium.ts";
import { startClientSite } from "./support/client-page.ts";
import { until } from "./support/feed.ts";
import { reactPlugin, type ReactVersion } from "./support/react-version.ts";
import { metric, publish, type Settings, startLocalServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

const VERSIONS: readonly ReactVersion[] = [19, 18];

/** A panel of the example. */
type PanelName = "status" | "orders" | "feed" | "notifications" | "dashboard";

describe.skipIf(!chromiumAvailable())("in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(() => browser.close());

  test("a hidden part of a page closes its stream, and goes on where it was when it is shown", async () => {
    using directory = temporaryDirectory();
    const entry = join(directory.path, "page.ts");
    await Bun.write(entry, HIDING_PAGE);
    using site = await startClientSite({ entry, plugins: [reactPlugin(19)] });
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
    const connected = (): Promise<number> => metric(server.url, "sse_connected_clients");
    const page = await browser.newPage();
    await page.goto(`${site.origin}/?${server.url}`);
    await until(async () => (await connected()) === 1);
    await page.evaluate(`show("hidden")`);
    await until(async () => (await connected()) === 0);
    await publish(server.url, orders(0, 3));
    await page.evaluate(`show("visible")`);
    await until(async () => (await connected()) === 1);
    await page.waitForFunction(`got.length === 3`);
    await page.evaluate(`show("nowhere")`);
    await until(async () => (await connected()) === 0);
    await page.close();
  });

  test("useSSE renders for messages only where they are read, and shows none of another address", async () => {
    using directory = temporaryDirectory();
    const entry = join(directory.path, "page.ts");
    await Bun.write(entry, READING_PAGE);
    using site = await startClientSite({ entry, plugins: [reactPlugin(19)] });
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: site.origin });
    const page = await browser.newPage();
    await page.goto(`${site.origin}/?${server.url}`);
    const opened = (): Promise<number> => metric(server.url, "sse_streams_opened_total");
    await until(async () => (await opened()) === 2);
    await page.waitForFunction(`root.textContent === "open none"`);
    const before = Number(await page.evaluate("renders"));
    await publish(server.url, orders(0, 20));
    await page.waitForFunction(`root.textContent === 'open {"order":19}'`);
    expect(await page.evaluate("renders")).toBe(before);
    await page.evaluate(`show("payment:*")`);
    await until(async () => (await opened()) === 4);
    await page.waitForFunction(`root.textContent === "open none"`);
    await publish(server.url, { type: "payment:failed", data: 1 });
    await page.waitForFunction(`root.textContent === "open 1"`);
    await page.close();
  });

  describe.each(VERSIONS)("the example in React %d", (version) => {
    let site: Site;
    let settings: Settings;

    beforeAll(async () => {
      const entry = join(import.meta.dir, "../examples/react/main.tsx");
      site = await startClientSite({ entry, plugins: [reactPlugin(version)] });
      settings = { SSE_CORS_ORIGIN: site.origin, SSE_RETRY_MS: "100" };
    });

    afterAll(() => site[Symbol.dispose]());

    test("a provider opens one stream, though StrictMode runs effects twice", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["status", "orders"]);
      await app.reaches("status", "open");
      expect(await metric(server.url, "sse_streams_opened_total")).toBe(1);
      expect(await metric(server.url, "sse_connected_clients")).toBe(1);
      expect(app.streams).toHaveLength(1);
      expect(await app.page.evaluate("tokensAsked")).toBe(1);
      // Both versions say so where they are development's, as StrictMode needs.
      expect(app.said).toContain("React DevTools");
      expect(app.complaints).toEqual([]);
    });

    test("its consumers get each event, and render for none", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["status", "orders"]);
      await app.reaches("status", "open");
      const renders = await app.renders("status");
      for (const batch of [0, 1, 2]) await publish(server.url, orders(batch * 100, 100));
      await app.lists("orders", texts(0, 300));
      await app.page.locator("#status output", { hasText: /^300$/ }).waitFor();
      expect(await app.renders("status")).toBe(renders);
    });

    test("equal options leave the stream open; other ones open another, and nothing is missed", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["status", "orders"]);
      await app.reaches("status", "open");
      const renders = await app.renders("status");
      await app.press("#render", "#render", "#render");
      await app.holds(`renders("status") > ${renders}`);
      expect(app.streams).toHaveLength(1);
      await publish(server.url, orders(0, 3));
      await app.lists("orders", texts(0, 3));
      // Between the two streams something is published.
      await app.page.route(/payment/, async (route) => {
        await publish(server.url, orders(3, 3));
        await route.continue();
      });
      await app.press("#payments");
      await app.lists("orders", texts(0, 6));
      await app.reaches("status", "open");
      await until(async () => (await metric(server.url, "sse_connected_clients")) === 1);
      expect(await metric(server.url, "sse_streams_opened_total")).toBe(2);
      await publish(server.url, { type: "payment:failed", data: 0 });
      await app.page.locator("#status output", { hasText: /^7$/ }).waitFor();
    });

    test("a server that is killed and comes back is shown, and nothing is lost", async () => {
      using directory = temporaryDirectory();
      const own = { ...settings, DATA_DIR: directory.path };
      await using first = await startServer(own);
      await using app = await ExampleApp.open(browser, site, first.url, ["status", "orders"]);
      await app.reaches("status", "open");
      await publish(first.url, orders(0, 3));
      await app.lists("orders", texts(0, 3));
      first.kill("SIGKILL");
      await first.exited;
      await app.reaches("status", "reconnecting");
      await using second = await startServer({ ...own, PORT: String(first.port) });
      await publish(second.url, orders(3, 3));
      await app.comesBack();
      await app.reaches("status", "open");
      await publish(second.url, orders(6, 3));
      await app.lists("orders", texts(0, 9));
      const asked = Number(await app.page.evaluate("tokensAsked"));
      expect(asked).toBeGreaterThan(1);
    });

    test("useSSE tells of what becomes of its connection", async () => {
      await using first = await startServer(settings);
      await using app = await ExampleApp.open(browser, site, first.url, ["feed"]);
      const log = app.page.locator("#feed .log");
      await log.getByText(/^connected$/).waitFor();
      first.kill("SIGKILL");
      await first.exited;
      await log.getByText(/^connected, disconnected, The server .*/).waitFor();
      await using second = await startServer({ ...settings, PORT: String(first.port) });
      expect(second.port).toBe(first.port);
      await app.comesBack();
      await log.getByText(/, connected$/).waitFor();
    });

    test("useSSE makes a query anew once for many events, and shows the newest one", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["feed"]);
      await app.reaches("feed", "open");
      await publish(server.url, orders(0, 50));
      await app.holds(`listed("feed")[0] === '{"order":49}'`);
      await app.page.locator("#feed .newest", { hasText: '{"order":49}' }).waitFor();
      const queries = app.requests.filter((url) => url.includes("/events/recent"));
      // One at the start, and one for what came together: at most a few where that was read in pieces.
      expect(queries.length).toBeWithin(2, 6);
      // Fifty events came, and were shown in few renders.
      expect(await app.renders("feed")).toBeLessThan(30);
    });

    test("useSSE closes, comes back where it was, and is closed with its component", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["feed"]);
      await app.reaches("feed", "open");
      const connected = (): Promise<number> => metric(server.url, "sse_connected_clients");
      // The provider's, and the panel's.
      await until(async () => (await connected()) === 2);
      await app.press("#feed button:text('Disconnect')");
      await app.reaches("feed", "closed");
      await until(async () => (await connected()) === 1);
      await publish(server.url, orders(0, 1));
      await app.press("#feed button:text('Connect')");
      await app.page.locator("#feed .newest", { hasText: '{"order":0}' }).waitFor();
      await app.reaches("feed", "open");
      // It was told of what came in between, and asked anew.
      await app.holds(`listed("feed")[0] === '{"order":0}'`);
      await app.press("#show-feed");
      await until(async () => (await connected()) === 1);
      await app.press("#show-feed");
      await app.reaches("feed", "open");
      await until(async () => (await connected()) === 2);
      expect(app.complaints).toEqual([]);
    });

    test("useEventSource calls the handlers of a user's events", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["notifications"]);
      await app.reaches("notifications", "open");
      for (const user of ["bob", "ann"]) {
        await publish(server.url, { type: "payment:completed", data: user, to: { user } });
      }
      await publish(server.url, { type: "payment:failed", data: "ann", to: { user: "ann" } });
      await publish(server.url, { type: "payment:completed", data: "all" });
      await app.lists("notifications", ['payment:completed "ann"', 'payment:completed "all"']);
      // `debug` writes all that came.
      expect(app.said).toContain("payment:failed ann");
      await app.press("#show-notifications");
      await until(async () => (await metric(server.url, "sse_connected_clients")) === 1);
    });

    test("useDashboardStream has the server's health", async () => {
      await using server = await startLocalServer(settings);
      await using app = await ExampleApp.open(browser, site, server.url, ["dashboard"]);
      await app.reaches("dashboard", "open");
      await app.page.locator("#dashboard output", { hasText: /^\d+$/ }).waitFor();
    });
  });
});

const HOOKS = JSON.stringify(join(import.meta.dir, "../src/react/react.ts"));

/** A provider in an `Activity`, whose mode a test says. */
const HIDING_PAGE = `
import { Activity, createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { HeadgateProvider, useEvents } from ${HOOKS};

window.got = [];
function Part() {
  useEvents("*", ({ text }) => void got.push(text));
  return null;
}
const root = createRoot(document.querySelector("#root"));
const provider = createElement(HeadgateProvider, { url: location.search.slice(1) }, createElement(Part));
window.show = (mode) =>
  root.render(createElement(StrictMode, {},
    mode === "nowhere" ? null : createElement(Activity, { mode }, provider)));
show("visible");
`;

/** Two who use a stream, one that reads its messages and one that does not. */
const READING_PAGE = `
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { useSSE } from ${HOOKS};

window.renders = 0;
const url = (types) => location.search.slice(1) + "/events?types=" + types;
function Status({ types }) {
  window.renders += 1;
  return useSSE({ url: url(types) }).status;
}
function Message({ types }) {
  const { lastMessage } = useSSE({ url: url(types) });
  return " " + (lastMessage?.text ?? "none");
}
const root = createRoot(document.querySelector("#root"));
window.root = document.querySelector("#root");
window.show = (types) =>
  root.render([createElement(Status, { types, key: 1 }), createElement(Message, { types, key: 2 })]);
show("order.*");
`;

/** Orders from one on. */
function orders(from: number, count: number): { type: string; data: { order: number } }[] {
  return Array.from({ length: count }, (_, n) => ({
    type: "order.created",
    data: { order: from + n },
  }));
}

function texts(from: number, count: number): string[] {
  return orders(from, count).map(({ data }) => JSON.stringify(data));
}

/** The example in a page, with some of its panels. */
class ExampleApp implements AsyncDisposable {
  readonly page: Page;
  readonly requests: string[] = [];
  readonly complaints: string[] = [];
  /** Everything in the console. */
  said = "";

  private constructor(page: Page) {
    this.page = page;
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      this.said += `${message.text()}\n`;
      if (message.type() === "error") this.complaints.push(message.text());
    });
  }

  static async open(
    browser: Browser,
    site: Site,
    server: string,
    panels: readonly PanelName[],
  ): Promise<ExampleApp> {
    const app = new ExampleApp(await browser.newPage());
    await app.page.addInitScript(`
      window.tokensAsked = 0;
      document.addEventListener("token-asked", () => tokensAsked += 1);
      window.renders = (panel) => Number(document.querySelector("#" + panel + " .renders").dataset.renders);
      window.listed = (panel) => [...document.querySelectorAll("#" + panel + " ol li")].map((li) => li.textContent);
    `);
    const query = new URLSearchParams({ server, panels: panels.join(",") });
    await app.page.goto(`${site.origin}/?${query.toString()}`);
    return app;
  }

  /** Addresses of the streams that it asked for. */
  get streams(): string[] {
    return this.requests.filter((url) => /[/](?:events|stream)(?:[?]|$)/.test(url));
  }

  /** Resolves when a panel says that its stream is so. */
  async reaches(panel: PanelName, status: string): Promise<void> {
    await this.page.waitForSelector(`#${panel} [data-status="${status}"]`);
  }

  async holds(expression: string): Promise<void> {
    await this.page.waitForFunction(expression);
  }

  /** Resolves when a panel lists exactly this. */
  async lists(panel: PanelName, expected: readonly string[]): Promise<void> {
    await this.holds(`listed("${panel}").length >= ${expected.length}`);
    expect(await this.page.evaluate(`listed("${panel}")`)).toEqual(expected);
  }

  async press(...selectors: readonly string[]): Promise<void> {
    for (const selector of selectors) await this.page.click(selector);
  }

  renders(panel: PanelName): Promise<number> {
    return this.page.evaluate(`renders("${panel}")`);
  }

  /** The network is back: nobody waits any longer. */
  async comesBack(): Promise<void> {
    await this.page.evaluate(`dispatchEvent(new Event("online"))`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }
}
