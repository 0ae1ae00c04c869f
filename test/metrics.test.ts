import { expect, test } from "bun:test";
import { until } from "./support/feed.ts";
import { metric, publish, startLocalServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

/** Every sample of the page, as Prometheus names it: labels included, values left out. */
async function seriesOf(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return samples.map((line) => line.replace(/ [^ ]*$/, "")).toSorted();
}

test("D11 whatever keys, types, users, channels, headers and paths strangers send, no series is made of them", async () => {
  await using server = await startLocalServer({ KAFKA_TOPICS: "events,orders" });
  const send = async (name: string): Promise<void> => {
    const to = { user: name, channel: name, client: name };
    await using subscriber = await TestSubscriber.live(
      server.url,
      `/events?userId=${name}&channels=${name}&clientId=${name}&types=${name}&keys=${name}`,
    );
    const events = [
      { type: name, key: name, data: name, headers: { [name]: name } },
      { type: name, key: name, data: name, to },
    ];
    const answer = await publish(server.url, events, { "Idempotency-Key": name });
    expect(answer.status).toBe(200);
    await subscriber.recordsUpTo(2);
    for (const path of [`/${name}`, `/events?${name}=1`, `/events?topics=${name}`]) {
      await (await fetch(`${server.url}${path}`)).text();
    }
    await publish(server.url, { topic: name, data: 1 });
    await fetch(`${server.url}/events`, { headers: { "Last-Event-ID": name }, method: "HEAD" });
  };
  await send("first");
  // Its end is a series too, once it is counted.
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  const before = await seriesOf(server.url);
  for (let n = 0; n < 50; n += 1) await send(`hostile-${n}`);
  await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
  const after = await seriesOf(server.url);
  expect(after).toEqual(before);
  expect(after.join("\n")).not.toMatch(/hostile|first|orders/);
});
