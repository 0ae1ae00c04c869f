import { launchChromium, startSite } from "./chromium.ts";
import { launchFirefox } from "./firefox.ts";
import {
  type ClientStarter,
  type OtherClient,
  type ShownEvent,
  ShownEvents,
} from "./other-client.ts";

/** What tests need of a page, which both drivers have. */
interface Page {
  goto(url: string): Promise<unknown>;
  evaluate(script: string): Promise<unknown>;
  on(event: "console", listener: (message: ConsoleMessage) => void): unknown;
  close(): Promise<void>;
}

interface ConsoleMessage {
  type(): string;
  text(): string;
}

interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

export const startChromiumPages = (): Promise<ClientStarter> => startPages(launchChromium());

export const startFirefoxPages = (): Promise<ClientStarter> => startPages(launchFirefox());

/** Pages with a native EventSource, each on its own, in one browser. */
async function startPages(launched: Promise<Browser>): Promise<ClientStarter> {
  const browser = await launched;
  const site = startSite();
  return {
    async open(url, types): Promise<OtherClient> {
      const page = await browser.newPage();
      await page.goto(site.origin);
      const shown = new ShownEvents();
      page.on("console", (message) => {
        // Chromium itself writes errors there. The cast holds: what else is there is the script's.
        if (message.type() === "log") shown.take(JSON.parse(message.text()) as ShownEvent);
      });
      await page.evaluate(script(url, types));
      return { shown, [Symbol.asyncDispose]: () => page.close() };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      site[Symbol.dispose]();
    },
  };
}

/** Writes each event to the console as one line of JSON, as the programs do to stdout. */
function script(url: string, types: readonly string[]): string {
  return `{
    const source = new EventSource(${JSON.stringify(url)});
    for (const type of ${JSON.stringify(types)}) {
      source.addEventListener(type, ({ type, data, lastEventId }) =>
        console.log(JSON.stringify({ event: type, data, id: lastEventId })));
    }
  }`;
}
