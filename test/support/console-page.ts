import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { until } from "./feed.ts";

/** An event as the page saves it. */
export interface SavedEvent {
  readonly id: string;
  readonly event: string;
  readonly envelope: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly payload: unknown;
  };
}

/** The live console in a browser, and what somebody who looks at it can do. */
export class ConsolePage implements AsyncDisposable {
  readonly page: Page;
  /** What the browser complains of: errors, and what the page's policy forbids. */
  readonly complaints: string[] = [];
  /** Of everything that the page asks for. */
  readonly requests: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(message.text());
    });
    page.on("request", (request) => this.requests.push(request.url()));
  }

  static async open(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<ConsolePage> {
    const context = await browser.newContext({ reducedMotion: "reduce", ...options });
    const page = new ConsolePage(await context.newPage());
    await page.page.goto(`${url}/`);
    return page;
  }

  /** The same, and waits until it is live. */
  static async live(...args: Parameters<typeof ConsolePage.open>): Promise<ConsolePage> {
    const page = await ConsolePage.open(...args);
    await page.reaches("live");
    return page;
  }

  /** Resolves when the stream is said to be in this state. */
  async reaches(state: string): Promise<void> {
    await this.page.waitForSelector(`#state[data-state="${state}"]`);
  }

  get rows(): Locator {
    return this.page.locator(".event:not([hidden])");
  }

  /** The newest event's row. Rows are used again: their order in the document says nothing. */
  get newest(): Locator {
    return this.page.locator('.event:not([hidden])[aria-posinset="1"]');
  }

  /** Resolves when an expression holds in the page. `waitForFunction` is no use: the page forbids `eval`. */
  holds(expression: string): Promise<void> {
    return until(async () => Boolean(await this.page.evaluate(expression)), {
      describe: () => expression,
    });
  }

  /** Resolves when the line above the list says this. */
  async counts(text: string): Promise<void> {
    await this.page.locator("#counts", { hasText: text }).waitFor();
  }

  /** Resolves when the rows show this in a column, from the top. */
  shows(name: "topic" | "type" | "key" | "payload", texts: readonly string[]): Promise<void> {
    // Rows are used again: their place on the screen is their order, not that in the document.
    return this.holds(`JSON.stringify([...document.querySelectorAll(".event:not([hidden])")]
      .sort((a, b) => a.getAttribute("aria-posinset") - b.getAttribute("aria-posinset"))
      .map((row) => row.querySelector(".${name}").textContent)) === ${JSON.stringify(JSON.stringify(texts))}`);
  }

  /** Presses "Save": everything that is shown, oldest first. */
  async save(): Promise<SavedEvent[]> {
    const saved = this.page.waitForEvent("download");
    await this.page.click("#save");
    const path = await (await saved).path();
    const lines = (await Bun.file(path).text()).split("\n").slice(0, -1);
    return lines.map((line): SavedEvent => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
