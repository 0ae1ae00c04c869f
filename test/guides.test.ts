import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { runGuide } from "./support/guide.ts";

setDefaultTimeout(60_000);

describe("the commands of a guide do what it says", () => {
  test.skipIf(!kafkaAvailable())("README-KAFKA.md", async () => {
    const kafka = await sharedKafka();
    const own = { "127.0.0.1:9092": kafka.brokers.join(","), orders: uniqueTopic("orders") };
    expect(await runGuide("README-KAFKA.md", own)).toBeGreaterThan(8);
  });

  test.each(["docs/security.md"])("%s", async (page) => {
    expect(await runGuide(page)).toBeGreaterThan(3);
  });
});
