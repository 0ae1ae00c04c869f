import puppeteer, { type Browser } from "puppeteer-core";
import { isQuick } from "./effort.ts";

const COMMANDS = ["firefox-esr", "firefox"];

const findFirefox = (): string | undefined =>
  COMMANDS.map((command) => Bun.which(command)).find((path) => path !== null) ?? undefined;

/** Whether tests can have a Firefox. With CI set it throws instead of saying no: nothing is skipped there. */
export function firefoxAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = findFirefox() !== undefined;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error(`Tests in a browser need one of the commands ${COMMANDS.join(", ")}`);
  }
  return isAvailable;
}

/** A Firefox without a window, driven over WebDriver BiDi, with a profile of its own. */
export function launchFirefox(): Promise<Browser> {
  const executablePath = findFirefox();
  if (executablePath === undefined) throw new Error("There is no Firefox");
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    // Two cores, and other tests beside it.
    timeout: 60_000,
    // It asks nobody for experiments, lists and updates.
    extraPrefsFirefox: {
      "app.normandy.enabled": false,
      "browser.region.network.url": "",
      "browser.safebrowsing.downloads.remote.enabled": false,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "nimbus.rollouts.enabled": false,
      "services.settings.server": "data:,",
    },
  });
}
