import { expect, setDefaultTimeout, test } from "bun:test";
import { ALL, bearer } from "./support/callers.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { RawPeer } from "./support/peers.ts";
import { metric, type Settings } from "./support/server.ts";
import { SECRET } from "./support/tokens.ts";
import {
  askWorker,
  cutAll,
  servedBy,
  startWorkers,
  subscribeTo,
  twoOf,
} from "./support/workers.ts";

// Each server is three processes: on a busy machine they take their time.
setDefaultTimeout(30_000);

test.concurrent("E7 C16 limits of streams are one for all workers: in all, of an address and of a user", async () => {
  await using limited = await startWorkers({
    SSE_MAX_CONNECTIONS: "5",
    SSE_MAX_CONNECTIONS_PER_IP: "3",
    SSE_MAX_CONNECTIONS_PER_USER: "2",
    SSE_PUBLISH_RATE: "0.01",
    TRUSTED_PROXIES: "127.0.0.0/8",
    ALLOW_ANONYMOUS_USERS: "true",
    ALLOW_ANONYMOUS_PUBLISH: "true",
  });
  /** How many of so many that come at once are let in, and that all the others are refused. */
  const letIn = async (
    status: number,
    who: (i: number) => { target?: string; address: string },
  ): Promise<RawPeer[]> => {
    const peers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => {
        const { target = "/events", address } = who(i);
        return RawPeer.subscribe(limited.port, target, `X-Forwarded-For: ${address}\r\n`);
      }),
    );
    expect(new Set(servedBy(peers, limited.workers())).size).toBeGreaterThan(1);
    const open = peers.filter((peer) => peer.status === 200);
    await Promise.all(open.map(({ stream }) => stream.first("connection")));
    const refused = peers.filter((peer) => peer.status !== 200);
    expect(new Set(refused.map((peer) => peer.status))).toEqual(new Set([status]));
    await cutAll(refused);
    return open;
  };
  const isEmpty = async (): Promise<boolean> =>
    (await metric(limited.url, "sse_connected_clients")) === 0;
  const everywhere = (i: number): { address: string } => ({ address: `192.0.2.${i}` });
  const cases = [
    [5, 503, everywhere],
    [3, 429, () => ({ address: "192.0.2.1" })],
    [2, 429, (i: number) => ({ ...everywhere(i), target: "/events?userId=ann" })],
    // All are free again, and none is free twice.
    [5, 503, everywhere],
  ] as const;
  for (const [count, status, who] of cases) {
    const open = await letIn(status, who);
    expect(open).toHaveLength(count);
    await cutAll(open);
    await until(isEmpty);
  }
  const publishes = await Promise.all(
    Array.from({ length: 40 }, (_, i) => {
      const pid = limited.workers()[i % 2] ?? 0;
      const headers = { "X-Forwarded-For": `192.0.2.${i % 4}` };
      return askWorker(limited, pid, "/events", { headers, body: { data: i } });
    }),
  );
  const counts = Map.groupBy(publishes, ({ status }) => status);
  // D9: one for each of four addresses.
  expect([counts.get(200)?.length, counts.get(429)?.length]).toEqual([4, 36]);
  const [refused] = counts.get(429) ?? [];
  expect(JSON.parse(refused?.text ?? "")).toMatchObject({
    type: "/errors/rate-limited",
    mayBeStored: false,
  });
});

test.concurrent.skipIf(isQuick)(
  "C6 a token whose stream has been closed on one worker is not accepted by another in the leeway",
  async () => {
    await using guarded = await startWorkers({
      AUTH: "jwt",
      JWT_SECRET: SECRET,
      SSE_CLEANUP_INTERVAL: "20",
    });
    const [one, other] = twoOf(guarded);
    const short = bearer(ALL, { exp: (Date.now() + 1500) / 1000, jti: crypto.randomUUID() });
    const statusOn = async (pid: number, headers: Settings): Promise<number> =>
      (await askWorker(guarded, pid, "/events/recent", { headers })).status;
    expect(await statusOn(other, short)).toBe(200);
    const line = `Authorization: ${short.Authorization}\r\n`;
    await using peer = await subscribeTo(guarded, one, "/events", line);
    await peer.stream.ended();
    expect(JSON.parse(peer.stream.events.at(-1)?.data ?? "")).toEqual({
      reason: "token-expired",
      reconnect: false,
    });
    expect(await statusOn(one, short)).toBe(401);
    await until(async () => (await statusOn(other, short)) === 401, { deadlineMs: 2000 });
    await using late = await subscribeTo(guarded, other, "/events", line);
    expect(late.status).toBe(401);
    expect(await statusOn(other, bearer(ALL))).toBe(200);
    // Nor by one that has not been there.
    process.kill(one, "SIGKILL");
    await until(() => guarded.workers().some((pid) => pid !== one && pid !== other));
    const fresh = guarded.workers().find((pid) => pid !== one && pid !== other) ?? 0;
    await until(async () => (await statusOn(fresh, bearer(ALL)).catch(() => 0)) === 200);
    expect(await statusOn(fresh, short)).toBe(401);
  },
);
