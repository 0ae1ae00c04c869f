/**
 * Makes docs/images/console.png anew: the live console after two minutes of a small shop's events,
 * with Kafka where there is one. `bun scripts/screenshot.ts [dark|light] [width] [file]`.
 */
import { join } from "node:path";
import { chromiumAvailable, launchChromium } from "../test/support/chromium.ts";
import { ConsolePage } from "../test/support/console-page.ts";
import { kafkaAvailable, startKafka } from "../test/support/kafka.ts";
import { type LocalServer, publish, startLocalServer } from "../test/support/server.ts";
import { TestSubscriber } from "../test/support/subscriber.ts";

const [
  scheme = "dark",
  width = "1600",
  file = join(import.meta.dir, "../docs/images/console.png"),
] = process.argv.slice(2);

const TRAFFIC_MS = 125_000;
const SUBSCRIBERS = 12;

if (!chromiumAvailable()) throw new Error("The screenshot needs the command chromium");
await using kafka = kafkaAvailable() ? await startKafka() : undefined;
await using server = await startLocalServer({
  KAFKA_TOPICS: "orders,payments,shipments",
  AGGREGATE_FIELDS: "total,amount",
  ...(kafka && { KAFKA_BROKERS: kafka.brokers.join(",") }),
});
await using browser = await launchChromium();
const subscribers = Array.from({ length: SUBSCRIBERS }, () => TestSubscriber.live(server.url));
const done = new AbortController();
const traffic = sell(server, done.signal);
await Bun.sleep(TRAFFIC_MS);
{
  const viewport = { width: Number(width), height: 860 };
  const colorScheme = scheme === "light" ? "light" : "dark";
  await using console_ = await ConsolePage.live(browser, server.url, { viewport, colorScheme });
  await console_.page.waitForSelector("#rates-plot canvas");
  await console_.page.waitForSelector("#topics .group");
  // Until the rows have moved a few times.
  await Bun.sleep(2500);
  await console_.page.screenshot({ path: file, fullPage: Number(width) < 1100 });
}
done.abort();
await traffic;
for (const subscriber of subscribers) await (await subscriber).cut();

/** Publishes what a shop would, in waves. */
async function sell({ url }: LocalServer, signal: AbortSignal): Promise<void> {
  for (let n = 1; !signal.aborted; n += 1) {
    const count = 1 + Math.round((3 + 2 * Math.sin(n / 40)) * Math.random());
    const response = await publish(
      url,
      Array.from({ length: count }, () => event(n)),
    );
    if (!response.ok) throw new Error(await response.text());
    await Bun.sleep(40 + Math.random() * 80);
  }
}

function event(n: number): object {
  const customer = `customer-${pick([9, 77, 118, 204, 311])}`;
  const cents = (most: number): number => Math.round(Math.random() * most * 100) / 100;
  const order = `ord_${(46_000 + n).toString(36)}`;
  return pick<object>([
    {
      topic: "orders",
      type: pick(["order.created", "order.created", "order.paid", "order.cancelled"]),
      key: customer,
      data: { order, total: cents(300), currency: "EUR", items: 1 + (n % 4) },
    },
    {
      topic: "payments",
      type: pick(["payment.authorized", "payment.captured"]),
      key: order,
      data: { amount: cents(300), method: pick(["card", "sepa", "paypal"]), risk: cents(1) },
    },
    {
      topic: "shipments",
      type: pick(["shipment.ready", "shipment.sent", "shipment.delivered"]),
      key: `parcel-${7000 + n}`,
      data: { carrier: pick(["DHL", "UPS", "DPD"]), city: pick(["Zürich", "Lyon", "Köln"]) },
    },
  ]);
}

function pick<T>(choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(Math.random() * choices.length)] ?? choices[0];
}
