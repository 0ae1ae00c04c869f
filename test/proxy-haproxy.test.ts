import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "./support/feed.ts";
import { haproxy, haproxyAvailable, haproxyOfTwo } from "./support/haproxy.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { BEHIND_PROXY, startProxy } from "./support/proxied-server.ts";
import { testProxyInChromium } from "./support/proxy-browser-cases.ts";
import { testProxy } from "./support/proxy-cases.ts";
import { metric, publish, type ServerProcess, startServer } from "./support/server.ts";

setDefaultTimeout(90_000);

describe.skipIf(!haproxyAvailable())("G6 behind HAProxy", () => {
  testProxy(haproxy);
  testProxyInChromium(haproxy);
});

describe.skipIf(!haproxyAvailable() || !kafkaAvailable())("two instances behind HAProxy", () => {
  test("G2 F19 a subscriber whose instance is killed goes on at the other one, and has each event once", async () => {
    const { brokers } = await sharedKafka();
    const settings = {
      ...BEHIND_PROXY,
      KAFKA_BROKERS: brokers.join(","),
      KAFKA_TOPICS: uniqueTopic("balanced"),
    };
    await using one = await startServer(settings);
    await using two = await startServer(settings);
    await using proxied = await startProxy(haproxyOfTwo(two.port), one.port);
    const { client } = proxied;
    await using first = await client.live();
    const [its, other] = (await isServing(one)) ? [one, two] : [two, one];
    await publish(other.url, [{ data: 0 }, { data: 1 }, { data: 2 }]);
    await first.recordsUpTo(3);
    its.kill("SIGKILL");
    await first.ended();
    await publish(other.url, [{ data: 3 }, { data: 4 }]);
    // At once: before the check has seen that one is gone, the connection is made to the other one.
    await using second = await client.live("/events", {
      headers: { "Last-Event-ID": first.lastEventId },
    });
    expect(await isServing(other)).toBe(true);
    await publish(other.url, { data: 5 });
    await second.recordsUpTo(3);
    const got = [...first.records, ...second.records].map(({ data }) => Number(data));
    // Partitions come in any order.
    expect(got.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(second.named("reset")).toEqual([]);
  });

  test("G1 an instance that drains gets no new streams, the other one all of them", async () => {
    const { brokers } = await sharedKafka();
    const settings = {
      ...BEHIND_PROXY,
      KAFKA_BROKERS: brokers.join(","),
      KAFKA_TOPICS: uniqueTopic("drained"),
    };
    await using one = await startServer({ ...settings, SHUTDOWN_GRACE: "30000" });
    await using two = await startServer({ ...settings, SHUTDOWN_GRACE: "30000" });
    await using proxied = await startProxy(haproxyOfTwo(two.port), one.port);
    const { client } = proxied;
    one.kill("SIGTERM");
    await until(() => proxied.proxy.logs().includes("Server headgate/one is DOWN"));
    for (let i = 0; i < 4; i += 1) {
      await using stream = await client.live();
      expect(stream.named("close")).toEqual([]);
    }
    expect(await metric(two.url, "sse_streams_opened_total")).toBe(4);
  });
});

async function isServing({ url }: ServerProcess): Promise<boolean> {
  return (await metric(url, "sse_connected_clients")) > 0;
}
