import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { chromiumAvailable, launchChromium } from "./support/chromium.ts";
import { ConsolePage } from "./support/console-page.ts";
import { publish, type Settings, startLocalServer, startServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

describe.skipIf(!chromiumAvailable())("the console in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(() => browser.close());

  test("gets each event once, though the server is killed while others publish", async () => {
    using directory = temporaryDirectory();
    const settings: Settings = { DATA_DIR: directory.path, SSE_RETRY_MS: "100" };
    await using first = await startServer(settings);
    const { url, port } = first;
    await using page = await ConsolePage.live(browser, url);
    const done = new AbortController();
    const published = publishOn(url, done.signal);
    await page.holds(RECEIVED_50);
    first.kill("SIGKILL");
    await first.exited;
    await page.reaches("disconnected");
    const why = await page.page.textContent("#state-why");
    expect(why).toMatch(/trying again in \d+ s$/);
    expect(await page.page.isVisible("#retry")).toBe(true);
    await page.page.locator("#health-score", { hasText: "?" }).waitFor();
    await using second = await startServer({ ...settings, PORT: String(port) });
    expect(second.port).toBe(port);
    // Somebody does not want to wait.
    await page.page.evaluate(`document.querySelector("#retry").click()`);
    await page.reaches("live");
    done.abort();
    const count = await published;
    await page.counts(`${count.toLocaleString("en-US")} received`);
    const saved = await page.save();
    expect(saved.map(({ envelope }) => envelope.payload)).toEqual(
      Array.from({ length: count }, (_, n) => n),
    );
    expect(await page.page.locator(".notice").count()).toBe(0);
  });

  test("says what is missing where its position cannot be honoured", async () => {
    using directory = temporaryDirectory();
    using other = temporaryDirectory();
    const settings: Settings = { SSE_RETRY_MS: "100" };
    await using first = await startServer({ ...settings, DATA_DIR: directory.path });
    await publish(first.url, { data: "of the first" });
    await using page = await ConsolePage.live(browser, first.url);
    await page.counts("1 received");
    first.kill("SIGKILL");
    await first.exited;
    const port = String(first.port);
    await using second = await startServer({ ...settings, DATA_DIR: other.path, PORT: port });
    await publish(second.url, { data: "of the second" });
    const notice = page.page.locator(".notice");
    await notice.waitFor();
    expect(await notice.textContent()).toMatch(
      /Reset\. events \(recreated\): The topic was deleted/,
    );
    await page.reaches("live");
    await page.counts("2 received");
    await page.page.click("text=Dismiss");
    expect(await notice.count()).toBe(0);
  });

  test("counts a thousand events a second, and has no more rows than can be seen", async () => {
    await using server = await startLocalServer();
    await using page = await ConsolePage.live(browser, server.url);
    const batch = Array.from({ length: 50 }, (_, n) => ({
      type: `type.${n % 7}`,
      key: `key-${n}`,
      data: { n, text: "x".repeat(200) },
    }));
    const BATCHES = 60;
    await page.page.evaluate(`{
      window.most = 0;
      const look = () => {
        window.most = Math.max(window.most, document.querySelectorAll(".event").length);
        requestAnimationFrame(look);
      };
      look();
    }`);
    for (let n = 0; n < BATCHES; n += 1) {
      expect((await publish(server.url, batch)).status).toBe(200);
      await Bun.sleep(30);
    }
    await page.counts(`${(BATCHES * batch.length).toLocaleString("en-US")} received · 2,000 shown`);
    await page.counts("1,000 older ones let go");
    expect(await page.page.evaluate("window.most")).toBeWithin(5, 80);
    // It answers at once, to what somebody does too.
    await page.page.fill("#filter-types", "type.3");
    await page.holds(
      `[...document.querySelectorAll(".event:not([hidden]) .type")].every((cell) => cell.textContent === "type.3")`,
    );
    await page.page.evaluate(`document.querySelector("#list").scrollTop = 1e6`);
    await page.holds(`document.querySelectorAll(".event:not([hidden])").length > 5`);
    expect(page.complaints).toEqual([]);
  });
});

/** Publishes 0, 1, 2 … one after the other, each until it is stored, and each once; how many there were. */
async function publishOn(url: string, signal: AbortSignal): Promise<number> {
  const run = crypto.randomUUID();
  let n = 0;
  for (; !signal.aborted; n += 1) {
    const headers = { "Idempotency-Key": `${run}-${n}` };
    for (;;) {
      const response = await publish(url, { data: n }, headers).catch(() => undefined);
      if (response?.status === 200) break;
      await Bun.sleep(20);
    }
    await Bun.sleep(5);
  }
  return n;
}

const RECEIVED_50 = `parseInt(document.querySelector("#counts").textContent, 10) >= 50`;
