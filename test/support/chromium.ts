import { type Browser, chromium, type Page } from "playwright-core";
import { isQuick } from "./effort.ts";
import type { Settings } from "./server.ts";

/** Whether tests can have a Chromium. With CI set it throws instead of saying no: nothing is skipped there. */
export function chromiumAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = Bun.which("chromium") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests in a browser need the command chromium");
  }
  return isAvailable;
}

/** A Chromium without a window, in which every name below `example` is this machine, whoever's page it is. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: Bun.which("chromium") ?? "chromium",
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP *.example 127.0.0.1",
    ],
  });
}

/** Somebody's web site: one page, at an origin of its own. */
export interface Site extends Disposable {
  /** As in the header `Origin`. */
  readonly origin: string;
}

export function startSite(host: "127.0.0.1" | "localhost" = "127.0.0.1"): Site {
  const headers = { "Content-Type": "text/html" };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("<!doctype html><title>A page</title>", { headers }),
  });
  return {
    origin: `http://${host}:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

/** An event as the page's own EventSource gave it. */
export interface PageEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** What `EventSource.readyState` means. */
export type ReadyState = "connecting" | "open" | "closed";

const READY_STATES: readonly ReadyState[] = ["connecting", "open", "closed"];

const EVENTS = ["message", "connection", "live", "heartbeat", "reset", "skipped", "close"];

/** A native EventSource in a page. */
export class PageSource {
  readonly #page: Page;
  readonly #name: string;

  private constructor(page: Page, name: string) {
    this.#page = page;
    this.#name = name;
  }

  /** Opens it, and listens for system events and these types. */
  static async open(
    page: Page,
    url: string,
    { withCredentials = false, types = [] }: { withCredentials?: boolean; types?: string[] } = {},
  ): Promise<PageSource> {
    const name = `source${crypto.randomUUID().replaceAll("-", "")}`;
    const listen = [...EVENTS, ...types].map(
      (type) => `source.addEventListener(${JSON.stringify(type)}, take);`,
    );
    await page.evaluate(`{
      const source = new EventSource(${JSON.stringify(url)}, { withCredentials: ${withCredentials} });
      const events = [];
      const take = ({ type, data, lastEventId }) => events.push({ event: type, data, id: lastEventId });
      ${listen.join("\n")}
      window.${name} = { source, events, opens: 0 };
      source.addEventListener("open", () => window.${name}.opens += 1);
    }`);
    return new PageSource(page, name);
  }

  /** Everything that has come so far. */
  events(): Promise<PageEvent[]> {
    return this.#page.evaluate(`${this.#name}.events`);
  }

  async named(event: string): Promise<PageEvent[]> {
    return (await this.events()).filter((each) => each.event === event);
  }

  async readyState(): Promise<ReadyState> {
    const state: number = await this.#page.evaluate(`${this.#name}.source.readyState`);
    return READY_STATES[state] ?? "closed";
  }

  /** Resolves when it is in this state. */
  async reaches(state: ReadyState): Promise<void> {
    const number = READY_STATES.indexOf(state);
    await this.#page.waitForFunction(`${this.#name}.source.readyState === ${number}`);
  }

  /** Resolves when so many events of this name have come. */
  async has(event: string, count = 1): Promise<PageEvent[]> {
    const ofName = `${this.#name}.events.filter(({ event }) => event === ${JSON.stringify(event)})`;
    await this.#page.waitForFunction(`${ofName}.length >= ${count}`);
    return this.named(event);
  }

  /** Resolves when it has been opened so many times. */
  async opened(count: number): Promise<void> {
    await this.#page.waitForFunction(`${this.#name}.opens >= ${count}`);
  }
}

/** What a page's script can send to another origin. */
export interface PageFetch {
  readonly method?: string;
  readonly mode?: "cors" | "no-cors";
  readonly credentials?: "include" | "omit";
  readonly headers?: Settings;
  readonly body?: string;
}

/** The status that a page's fetch sees; "opaque" where it may not see it, "refused" where there is none for it. */
export function fetchIn(page: Page, url: string, init: PageFetch): Promise<number | string> {
  return page.evaluate(`fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(
    ({ type, status }) => type === "opaque" ? "opaque" : status,
    () => "refused",
  )`);
}
