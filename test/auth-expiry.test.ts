import { expect, setDefaultTimeout, test } from "bun:test";
import { bearer, startJwtServer, statusOf } from "./support/callers.ts";
import { RawPeer } from "./support/peers.ts";
import { type LocalServer, publish } from "./support/server.ts";
import { type EventReader, TestSubscriber } from "./support/subscriber.ts";

// They wait for a second or more each: on a busy machine together with others.
setDefaultTimeout(30_000);

const GRANTS = { subscribe: ["*"], publish: ["*"] };

const start = (): Promise<LocalServer> => startJwtServer({ SSE_CLEANUP_INTERVAL: "20" });

/** Long enough for a busy machine to open streams in. */
const TOKEN_MS = 1500;

/** A token that is good for so long, to the millisecond. Each is another one: what has expired is remembered. */
function shortBearer(): ReturnType<typeof bearer> {
  return bearer(GRANTS, { exp: (Date.now() + TOKEN_MS) / 1000, jti: crypto.randomUUID() });
}

/** Whether a stream's end is as protocol.md has it: all events whole, a `retry:`, `close`, the end. */
async function expectExpired(stream: EventReader): Promise<void> {
  await stream.ended();
  const last = stream.events.at(-1);
  expect(last?.event).toBe("close");
  expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "token-expired", reconnect: false });
  expect(stream.named("close")).toHaveLength(1);
  expect(stream.retries).toHaveLength(2);
  expect(stream.oddities).toEqual([]);
}

test.concurrent("C6 a stream whose token expires gets close after a whole event, and then ends", async () => {
  await using server = await start();
  const headers = shortBearer();
  await using peer = await RawPeer.subscribe(
    server.port,
    "/events",
    `Authorization: ${headers.Authorization}\r\n`,
  );
  const good = bearer(GRANTS);
  const sent: string[] = [];
  while (!peer.stream.isEnded) {
    const data = `${sent.length}-${"x".repeat(5000)}`;
    sent.push(JSON.stringify(data));
    expect((await publish(server.url, { data }, good)).status).toBe(200);
  }
  await expectExpired(peer.stream);
  expect(peer.body).toEndWith("\n\n");
  const got = peer.stream.records.map(({ data }) => data);
  expect(got.length).toBeGreaterThan(0);
  expect(sent.slice(0, got.length)).toEqual(got);
});

test.concurrent("C6 whoever was closed does not come back with the same token, on any path; a new token goes on", async () => {
  await using server = await start();
  const headers = shortBearer();
  await using subscriber = await TestSubscriber.live(server.url, "/events", { headers });
  await expectExpired(subscriber);
  const { lastEventId } = subscriber;
  for (const path of [
    "/events",
    "/stream",
    "/events/recent",
    `/events?lastEventId=${lastEventId}`,
  ]) {
    for (const Accept of ["text/event-stream", "*/*", "application/x-ndjson"]) {
      const response = await fetch(`${server.url}${path}`, { headers: { ...headers, Accept } });
      expect([path, response.status]).toEqual([path, 401]);
      expect(await response.json()).toMatchObject({ type: "/errors/unauthorized" });
    }
  }
  expect((await publish(server.url, { data: "no" }, headers)).status).toBe(401);
  const good = bearer(GRANTS);
  await publish(server.url, { data: "missed" }, good);
  await using again = await TestSubscriber.live(server.url, "/events", {
    headers: good,
    lastEventId,
  });
  expect(again.records.map(({ data }) => data)).toEqual(['"missed"']);
});

test.concurrent("C6 streams of one token end with it, those of others live on", async () => {
  await using server = await start();
  const headers = shortBearer();
  await using events = await TestSubscriber.live(server.url, "/events", { headers });
  await using filtered = await TestSubscriber.live(server.url, "/events?types=none", { headers });
  await using other = await TestSubscriber.live(server.url, "/events", {
    headers: bearer(GRANTS, { jti: "another" }),
  });
  await expectExpired(events);
  await expectExpired(filtered);
  await publish(server.url, { data: "after" }, bearer(GRANTS));
  expect((await other.recordsUpTo(1))[0]?.data).toBe('"after"');
  expect(events.records).toEqual([]);
});

test.concurrent("C6 a stream of JSON lines ends with its token, after a whole line", async () => {
  await using server = await start();
  const headers = { ...shortBearer(), Accept: "application/x-ndjson" };
  const response = await fetch(`${server.url}/events`, { headers });
  const lines = (await response.text()).split("\n");
  expect(lines.at(-1)).toBe("");
  expect(JSON.parse(lines.at(-2) ?? "")).toMatchObject({
    event: "close",
    data: { reason: "token-expired", reconnect: false },
  });
  expect(await statusOf(`${server.url}/events`, headers)).toBe(401);
});

test.concurrent("C6 a peer that does not read when its token expires gets whole events only, then close", async () => {
  await using server = await start();
  const headers = shortBearer();
  await using stalled = await RawPeer.subscribe(
    server.port,
    "/events",
    `Authorization: ${headers.Authorization}\r\n`,
  );
  await stalled.stream.first("live");
  stalled.socket.pause();
  await using reading = await TestSubscriber.live(server.url, "/events?types=none", { headers });
  const good = bearer(GRANTS);
  const large = "x".repeat(200_000);
  for (let i = 0; i < 40; i += 1) await publish(server.url, { data: large }, good);
  // More than any socket's buffers hold: the stream stands in the middle of an event.
  await expectExpired(reading);
  stalled.socket.resume();
  await expectExpired(stalled.stream);
  // Where it got to, not where the server stands: whoever comes back misses nothing.
  expect(stalled.stream.lastEventId).toBe(stalled.stream.events.at(-2)?.id ?? "");
  expect(stalled.stream.records.length).toBeGreaterThan(0);
  expect(stalled.stream.records.length).toBeLessThan(40);
  for (const { data } of stalled.stream.records) expect(data).toBe(JSON.stringify(large));
  expect(stalled.body).toEndWith("\n\n");
});

test.concurrent("C6 a token that expires while its stream is replayed ends it there", async () => {
  await using server = await start();
  const large = "x".repeat(100_000);
  const events = Array.from({ length: 8 }, () => ({ data: large }));
  for (let i = 0; i < 10; i += 1) await publish(server.url, events, bearer(GRANTS));
  const headers = shortBearer();
  await using slow = await RawPeer.subscribe(
    server.port,
    "/events?since=earliest",
    `Authorization: ${headers.Authorization}\r\n`,
  );
  slow.socket.pause();
  await using reading = await TestSubscriber.live(server.url, "/events", { headers });
  await expectExpired(reading);
  slow.socket.resume();
  await slow.stream.ended();
  expect(slow.stream.named("live")).toEqual([]);
  expect(slow.stream.records.length).toBeLessThan(80);
  expect(JSON.parse(slow.stream.events.at(-1)?.data ?? "")).toEqual({
    reason: "token-expired",
    reconnect: false,
  });
  expect(slow.body).toEndWith("\n\n");
});
