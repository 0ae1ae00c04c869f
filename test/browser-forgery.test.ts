import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { chromiumAvailable, fetchIn, launchChromium, startSite } from "./support/chromium.ts";
import { type LocalServer, type Settings, startLocalServer } from "./support/server.ts";
import { hmacToken } from "./support/tokens.ts";

setDefaultTimeout(30_000);

const EVENT = '{"data":"forged"}';
const NOTIFICATION = '{"id":"p","status":"completed","target":"all"}';
/** What a page may send anywhere without asking first [Fetch standard, CORS-safelisted]. */
const FORM_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];

describe.skipIf(!chromiumAvailable())("a page in Chromium", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  });

  afterAll(() => browser.close());

  /** A page that somebody looks at who has logged in. */
  async function visit(origin: string): Promise<Page> {
    const context = await browser.newContext();
    const cookie = { name: "headgate_token", value: hmacToken({ headgate: ALL }) };
    await context.addCookies([{ ...cookie, url: "http://127.0.0.1" }]);
    const page = await context.newPage();
    await page.goto(origin);
    return page;
  }

  /** Tries every way in which a page of another origin can make a browser post. */
  async function forge(page: Page, { url }: LocalServer): Promise<void> {
    for (const target of [`${url}/events`, `${url}/notifications/payment`]) {
      const body = target.endsWith("/events") ? EVENT : NOTIFICATION;
      for (const enctype of FORM_TYPES) await postForm(page, target, enctype, body);
      const JSON_TYPE = { "Content-Type": "application/json" };
      for (const credentials of ["include", "omit"] as const) {
        const post = { method: "POST", credentials, body };
        for (const type of FORM_TYPES) {
          const headers = { "Content-Type": type };
          expect(await fetchIn(page, target, { ...post, mode: "no-cors", headers })).toBe("opaque");
        }
        // The type is not theirs to choose: the browser sends text/plain.
        const headers = JSON_TYPE;
        expect(await fetchIn(page, target, { ...post, mode: "no-cors", headers })).toBe("opaque");
        expect(await fetchIn(page, target, { ...post, headers })).toBe("refused");
        const authorized = { ...headers, ...bearer(ALL) };
        expect(await fetchIn(page, target, { ...post, headers: authorized })).toBe("refused");
      }
      await sendBeacons(page, target, body);
    }
  }

  const held = async ({ url }: LocalServer, headers: Settings = bearer(ALL)): Promise<unknown> =>
    (await fetch(`${url}/events/recent`, { headers })).json();

  const NOTHING = { events: [], truncated: false };

  test("D4 of another origin cannot publish to a server on this machine that needs no token", async () => {
    await using server = await startLocalServer();
    using site = startSite("localhost");
    await forge(await visit(site.origin), server);
    expect(await held(server)).toEqual(NOTHING);
  });

  test("C14 of another origin cannot publish with its visitor's cookie, even from the same host", async () => {
    using neighbour = startSite();
    using listed = startSite();
    await using server = await startJwtServer({ SSE_CORS_ORIGIN: listed.origin });
    await forge(await visit(neighbour.origin), server);
    expect(await held(server)).toEqual(NOTHING);
    // The listed one can, as JSON.
    const post = { method: "POST", credentials: "include", body: EVENT } as const;
    const page = await visit(listed.origin);
    const headers = { "Content-Type": "application/json" };
    expect(await fetchIn(page, `${server.url}/events`, { ...post, headers })).toBe(200);
    expect(await held(server)).toMatchObject({ events: [{ payload: "forged" }] });
  });

  test("C14 of another origin cannot publish with its visitor's cookie where any page may read", async () => {
    using neighbour = startSite();
    await using server = await startJwtServer({ SSE_CORS_ORIGIN: "*" });
    const page = await visit(neighbour.origin);
    const target = `${server.url}/events`;
    const headers = { "Content-Type": "application/json" };
    for (const mode of ["cors", "no-cors"] as const) {
      const post = { method: "POST", mode, credentials: "include", headers, body: EVENT } as const;
      expect(await fetchIn(page, target, post)).toBeOneOf(["refused", "opaque"]);
    }
    for (const enctype of FORM_TYPES) await postForm(page, target, enctype, EVENT);
    expect(await held(server)).toEqual(NOTHING);
  });

  test("C13 whose name was rebound to this machine neither reads nor publishes", async () => {
    await using server = await startLocalServer();
    const origin = `http://attacker.example:${server.port}`;
    const page = await browser.newPage();
    // Chromium itself holds back pages that came from elsewhere; this one comes from here, as a
    // page would that was loaded before its name was rebound in a browser that does not.
    await page.goto(origin);
    const headers = { "Content-Type": "application/json" };
    const post = { method: "POST", headers, body: EVENT };
    expect(await fetchIn(page, `${origin}/events`, post)).toBe(403);
    expect(await fetchIn(page, `${origin}/notifications/payment`, post)).toBe(403);
    for (const path of ["/events", "/events/recent", "/metrics", "/kafka/status", "/health"]) {
      expect([path, await fetchIn(page, origin + path, {})]).toEqual([path, 403]);
    }
    expect(await held(server)).toEqual(NOTHING);
  });
});

/** Sends a form of which the body is, or holds, this text; resolves when its answer is there. */
async function postForm(page: Page, action: string, enctype: string, body: string): Promise<void> {
  // As text/plain a form's body is `name=value`: here JSON that would be an event.
  const cut = body.indexOf(':"') + 2;
  const [name, value] = [body.slice(0, cut), body.slice(cut)];
  const form = JSON.stringify({ method: "post", action, enctype, target: "answer" });
  const field = JSON.stringify({ name, value, type: "hidden" });
  const answered = page.waitForResponse(action);
  await page.evaluate(`{
    const frame = Object.assign(document.createElement("iframe"), { name: "answer" });
    const form = Object.assign(document.createElement("form"), ${form});
    form.append(Object.assign(document.createElement("input"), ${field}));
    document.body.replaceChildren(frame, form);
    form.submit();
  }`);
  expect((await answered).status()).toBeOneOf([403, 415]);
}

/** Sends beacons; resolves when the browser is done with them, whatever became of them. */
async function sendBeacons(page: Page, target: string, body: string): Promise<void> {
  const isBeacon = (request: { url(): string; resourceType(): string }): boolean =>
    request.url() === target && request.resourceType() === "ping";
  for (const type of ["application/json", "text/plain"]) {
    const done = Promise.race([
      page.waitForEvent("requestfinished", isBeacon),
      page.waitForEvent("requestfailed", isBeacon),
    ]);
    const blob = `new Blob([${JSON.stringify(body)}], { type: ${JSON.stringify(type)} })`;
    await page.evaluate(`navigator.sendBeacon(${JSON.stringify(target)}, ${blob})`);
    await done;
  }
}
