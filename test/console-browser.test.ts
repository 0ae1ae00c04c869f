import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { chromiumAvailable, launchChromium } from "./support/chromium.ts";
import { ConsolePage } from "./support/console-page.ts";
import { until } from "./support/feed.ts";
import { metric, publish, startLocalServer } from "./support/server.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(30_000);

describe.skipIf(!chromiumAvailable())("the console in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(() => browser.close());

  test("loads from its own server alone, breaks no rule of its policy, and opens one stream", async () => {
    await using server = await startLocalServer();
    await using page = await ConsolePage.live(browser, server.url);
    await page.page.waitForSelector("#rates-plot canvas");
    await page.page.waitForSelector("#topics .group");
    expect(page.complaints).toEqual([]);
    const others = page.requests.filter((url) => !/^(?:data|blob):/.test(url));
    expect(others.filter((url) => !url.startsWith(`${server.url}/`))).toEqual([]);
    expect(others.filter((url) => url.includes("/events?"))).toHaveLength(1);
    expect(await metric(server.url, "sse_connected_clients")).toBe(1);
  });

  test("lies below any path that a proxy gives it", async () => {
    await using server = await startLocalServer();
    await using proxy = startPrefixProxy(server.url);
    await using page = await ConsolePage.live(browser, `${proxy.url}/tools/headgate`);
    await publish(server.url, { type: "greeting", data: 1 });
    await page.counts("1 received");
    expect(page.complaints).toEqual([]);
    expect(page.requests.filter((url) => !url.includes("/tools/headgate/"))).toEqual([]);
  });

  test("without an event says how to make the first one come, for a shell to run", async () => {
    await using server = await startLocalServer();
    await using page = await ConsolePage.live(browser, server.url);
    const commands = page.page.locator("#empty pre");
    await commands.first().waitFor();
    const [publishing = "", reading = ""] = await commands.allTextContents();
    expect(reading).toBe(`curl -N '${server.url}/events'`);
    const { exited } = Bun.spawn(["sh", "-c", publishing], { stdout: "ignore", stderr: "ignore" });
    expect(await exited).toBe(0);
    await page.counts("1 received");
    await page.shows("type", ["greeting"]);
    expect(await page.page.locator("#empty").isVisible()).toBe(false);
  });

  test("shows what was there and what comes, the newest first, and what strangers wrote as text", async () => {
    await using server = await startLocalServer({ KAFKA_TOPICS: "orders,payments" });
    const hostile = '<img src=x onerror="document.title=1"><script>alert(1)</script>';
    await publish(server.url, { topic: "orders", type: "first", data: 1 });
    await using page = await ConsolePage.live(browser, server.url);
    await publish(server.url, {
      topic: "payments",
      type: hostile,
      key: hostile,
      data: { [hostile]: hostile },
    });
    await page.counts("2 received");
    await page.shows("topic", ["payments", "orders"]);
    await page.shows("type", [hostile, "first"]);
    await page.shows("key", [hostile, ""]);
    await page.newest.click();
    await page.page.waitForSelector("#detail:not([hidden])");
    expect(await page.page.locator("#detail").textContent()).toInclude("<img src=x onerror=");
    expect(await page.page.locator("img, script:not([src])").count()).toBe(0);
    expect(page.complaints).toEqual([]);
  });

  test("filters what is there and what comes, and pauses while events are counted", async () => {
    await using server = await startLocalServer({ KAFKA_TOPICS: "orders,payments" });
    await using page = await ConsolePage.live(browser, server.url);
    const { page: tab } = page;
    const types = ["order.created", "order.paid", "payment.captured"];
    await publish(
      server.url,
      types.map((type, i) => ({
        topic: i < 2 ? "orders" : "payments",
        type,
        key: `k${i}`,
        data: i,
      })),
    );
    await page.counts("3 received · 3 shown");
    await tab.fill("#filter-types", "order.*");
    await page.counts("3 received · 2 shown");
    await publish(server.url, { topic: "payments", type: "payment.refunded", data: "more" });
    await publish(server.url, { topic: "orders", type: "order.lost", data: "more" });
    await page.counts("5 received · 3 shown");
    await tab.selectOption("#filter-topic", "payments");
    await page.counts("5 received · 0 shown");
    await tab.click("#empty button");
    await page.counts("5 received · 5 shown");
    await tab.fill("#filter-text", "MORE");
    await page.counts("5 received · 2 shown");
    await tab.fill("#filter-text", "");
    await tab.click("#pause");
    await page.reaches("paused");
    await publish(server.url, { topic: "orders", data: "while paused" });
    await tab.locator("#state-why", { hasText: "1 new" }).waitFor();
    expect(await page.newest.textContent()).toEndWith('"more"');
    await tab.click("#pause");
    await page.reaches("live");
    await page.newest.filter({ hasText: "while paused" }).waitFor();
    await page.counts("6 received · 6 shown");
  });

  test("joins channels without losing its place", async () => {
    await using server = await startLocalServer();
    await using page = await ConsolePage.live(browser, server.url);
    await publish(server.url, { data: "for all" });
    await page.counts("1 received");
    await page.page.fill("#channels", "vip");
    await page.page.press("#channels", "Enter");
    await until(() => page.requests.some((url) => url.includes("channels=vip")));
    await publish(server.url, { data: "for vip", to: { channel: "vip" } });
    await page.counts("2 received");
    await page.shows("payload", ['"for vip"', '"for all"']);
    expect(await metric(server.url, "sse_connected_clients")).toBe(1);
  });

  test("is used with keys alone", async () => {
    await using server = await startLocalServer();
    await using page = await ConsolePage.live(browser, server.url);
    const { page: tab } = page;
    const texts = ['{"n":9007199254740993}', '"two"', '"three"'];
    for (const text of texts) await publish(server.url, `{"key":"k","data":${text}}`);
    await page.counts("3 received");
    const { keyboard } = tab;
    for (const key of ["j", "j", "ArrowDown", "Enter"]) await keyboard.press(key);
    await tab.waitForSelector("#detail:not([hidden])");
    const detail = await tab.locator("#detail-body").textContent();
    expect(detail).toInclude('"n": 9007199254740993');
    expect(detail).toMatch(/Position1~events~\w+~1Topicevents/);
    expect(await tab.getAttribute("#list", "aria-activedescendant")).toBe("event-1");
    // The detail follows the selection.
    await keyboard.press("k");
    await tab.locator("#detail-body", { hasText: "two" }).waitFor();
    await publish(server.url, { data: "while somebody reads" });
    await tab.locator("#fresh", { hasText: "1 new" }).waitFor();
    await keyboard.press("Escape");
    expect(await tab.locator("#detail").isVisible()).toBe(false);
    await keyboard.press("Escape");
    await page.counts("4 received · 4 shown");
    await keyboard.press("p");
    await page.reaches("paused");
    await keyboard.press("p");
    await page.reaches("live");
    await keyboard.press("/");
    await keyboard.type("jp?");
    expect(await tab.inputValue("#filter-text")).toBe("jp?");
    await keyboard.press("Escape");
    await keyboard.press("?");
    expect(await tab.locator("#keys").isVisible()).toBe(true);
    await keyboard.press("Escape");
    expect(await tab.locator("#keys").isVisible()).toBe(false);
  });

  test("copies commands that do what they say, also where there is no clipboard for pages", async () => {
    await using server = await startLocalServer();
    await publish(server.url, [{ data: "it's one" }, { data: "two" }]);
    await using page = await ConsolePage.live(browser, server.url);
    const { page: tab } = page;
    await tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
    const copied = async (button: string): Promise<string> => {
      await tab.click(`text=${button}`);
      await tab.fill("#filter-text", "");
      await tab.focus("#filter-text");
      await tab.keyboard.press("Control+V");
      return tab.inputValue("#filter-text");
    };
    await page.counts("2 received");
    await page.rows.filter({ hasText: "it's one" }).click();
    const fetching = await copied("Copy curl: this event");
    const { stdout } = Bun.spawn(["sh", "-c", `${fetching} -s`], { stderr: "ignore" });
    expect(await new Response(stdout).json()).toMatchObject({ offset: 0, payload: "it's one" });
    const resuming = await copied("Copy curl: all after it");
    const shell = Bun.spawn(["sh", "-c", `${resuming} -s -m 1`], { stderr: "ignore" });
    const rest = await new Response(shell.stdout).text();
    expect(rest).toInclude('"payload":"two"');
    expect(rest).not.toInclude("it's one");
  });

  test("publishes what is valid, and shows the answer and the event", async () => {
    await using server = await startLocalServer({ KAFKA_TOPICS: "orders,payments" });
    await using page = await ConsolePage.live(browser, server.url);
    const { page: tab } = page;
    await tab.selectOption("#publish-topic", "payments");
    await tab.fill("#publish-data", '{"amount": ');
    expect(await tab.isDisabled("#publish-button")).toBe(true);
    expect(await tab.textContent("#publish-check")).toStartWith("Not JSON yet");
    await tab.fill("#publish-data", '{"amount": 9007199254740993}');
    await tab.fill("#publish-type", "payment.captured");
    await tab.fill("#publish-key", "k1");
    await tab.press("#publish-data", "Control+Enter");
    const answer = tab.locator("#publish-answer.good, #publish-answer.bad");
    await answer.waitFor();
    expect(await answer.textContent()).toStartWith("Stored at payments/0 @ 0; 1 stream");
    await page.counts("1 received");
    await page.shows("payload", ['{"amount":9007199254740993}']);
    // What the server refuses is said in its own words.
    await tab.fill("#publish-type", "heartbeat");
    await tab.click("#publish-button");
    await tab.locator("#publish-answer", { hasText: "heartbeat" }).waitFor();
  });

  test("asks for a token, says what one may not do, and puts it nowhere but in a header", async () => {
    await using server = await startJwtServer({ KAFKA_TOPICS: "orders,payments" });
    await publish(server.url, { topic: "orders", data: "secret" }, bearer(ALL));
    await using page = await ConsolePage.open(browser, server.url);
    const { page: tab } = page;
    const use = async (token: string): Promise<void> => {
      await tab.fill("#token", token);
      await tab.press("#token", "Enter");
    };
    await page.reaches("refused");
    await tab.waitForSelector("#sign-in:not([hidden])");
    await tab.locator("#findings, #errors", { hasText: "token is needed" }).first().waitFor();
    await use("nonsense");
    await tab.locator("#forget-token:not([hidden])").waitFor();
    // This one reads, and nothing else.
    const reader = hmacToken({ headgate: { subscribe: ["orders"] } });
    await use(reader);
    await page.reaches("live");
    await page.counts("1 received");
    expect(await tab.locator("#sign-in").isVisible()).toBe(false);
    await tab.locator("#errors", { hasText: "claim status" }).waitFor();
    expect(await tab.textContent("#publish-note")).toInclude("does not allow publishing");
    expect(page.requests.filter((url) => url.includes("/api/dashboard"))).toEqual([]);
    // It is still there when the page is loaded anew, and another one can take its place.
    await tab.reload();
    await page.reaches("live");
    await tab.click("#change-token");
    await use(`Bearer ${hmacToken({ headgate: ALL })}`);
    await tab.waitForSelector("#rates-plot canvas");
    expect(page.requests.filter((url) => /token|eyJ/.test(url))).toEqual([]);
    expect(tab.url()).toBe(`${server.url}/`);
  });

  test("fits every width without a horizontal scroll bar", async () => {
    await using server = await startLocalServer({ KAFKA_TOPICS: `${"t".repeat(80)},orders` });
    const long = "x".repeat(300);
    await publish(server.url, { topic: "orders", type: long, key: long, data: long });
    await using page = await ConsolePage.live(browser, server.url);
    await page.counts("1 received");
    await page.newest.click();
    await page.page.waitForSelector("#topics .group");
    for (const width of [360, 560, 760, 900, 1100, 1600]) {
      await page.page.setViewportSize({ width, height: 800 });
      const widest = await page.page.evaluate("document.documentElement.scrollWidth");
      expect([width, widest]).toEqual([width, width]);
    }
  });
});

/** A proxy that serves a server below a path of its own. */
function startPrefixProxy(target: string): AsyncDisposable & { readonly url: string } {
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => {
      const { pathname, search } = new URL(request.url);
      const path = pathname.replace(/^\/tools\/headgate/, "");
      return fetch(`${target}${path}${search}`, {
        headers: request.headers,
        signal: request.signal,
        // What is compressed passes as it is.
        decompress: false,
      });
    },
  });
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    [Symbol.asyncDispose]: () => proxy.stop(true),
  };
}
