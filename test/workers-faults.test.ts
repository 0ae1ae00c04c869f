import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { freePort } from "./support/kafka-node.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { Numbers } from "./support/numbers.ts";
import { RawPeer } from "./support/peers.ts";
import { metric, publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { type EventReader, TestSubscriber } from "./support/subscriber.ts";
import {
  askWorker,
  cutAll,
  isListening,
  isRunning,
  prepareQuestion,
  servedBy,
  startWorkers,
  subscribeTo,
  twoOf,
  type WorkersServer,
} from "./support/workers.ts";

// Each server is three processes: on a busy machine they take their time.
setDefaultTimeout(60_000);

const numbersOf = (stream: EventReader | undefined): number[] =>
  (stream?.records ?? []).map(({ data }) => Number(data));

const upTo = (from: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - from) }, (_, i) => from + i);

/** Looks at a counter all the time. */
class Watch implements AsyncDisposable {
  readonly steps: number[] = [];
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(url: string, name: string) {
    this.#running = this.#look(url, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #look(url: string, name: string): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const value = await metric(url, name).catch(() => undefined);
      if (value !== undefined) this.steps.push(value);
    }
  }
}

function expectNeverBack(watches: readonly Watch[]): void {
  for (const { steps } of watches) {
    expect(steps.length).toBeGreaterThan(1);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  }
}

/** Kills a worker; resolves with the one that has taken its place. */
async function replaced(server: WorkersServer, pid: number): Promise<number> {
  const before = server.workers();
  process.kill(pid, "SIGKILL");
  let fresh: number | undefined;
  await until(async () => {
    fresh = server.workers().find((worker) => !before.includes(worker));
    if (fresh === undefined || !(await isListening(server.port))) return false;
    const status = await askWorker(server, fresh, "/readyz").catch(() => undefined);
    return status?.status === 200;
  });
  return fresh ?? 0;
}

describe.skipIf(isQuick)("processes that end, stand still or are told to stop", () => {
  test("G2 a killed worker cuts its own streams alone, whose clients get exactly the rest elsewhere; another one takes its place", async () => {
    const limit = 20;
    await using server = await startWorkers({ SSE_MAX_CONNECTIONS: String(limit) });
    const [killed, spared] = twoOf(server);
    await using peers = new AsyncDisposableStack();
    const opened = await Promise.all(
      Array.from({ length: limit }, () => RawPeer.subscribe(server.port)),
    );
    peers.defer(() => cutAll(opened));
    for (const { stream } of opened) await stream.first("live");
    const owners = servedBy(opened, [killed, spared]);
    const [lost, kept] = [killed, spared].map((pid) => opened.filter((_, i) => owners[i] === pid));
    if (!lost?.length || !kept?.length) throw new Error("All streams are on one worker");
    await using numbers = new Numbers({ url: server.url });
    await until(() => numbers.acknowledged > 20);
    await using sent = new Watch(server.url, "sse_events_sent_total");
    await using published = new Watch(server.url, 'headgate_http_requests_total{status="2xx"}');
    await until(() => sent.steps.length > 1 && published.steps.length > 1);
    process.kill(killed, "SIGKILL");
    await Promise.all(lost.map(({ stream }) => stream.ended()));
    for (const { stream } of lost) expect(stream.named("close")).toEqual([]);
    // As browsers do: until they are let in, with the last id that they saw.
    const again = await Promise.all(lost.map((peer) => comeBack(server, peer.stream.lastEventId)));
    peers.defer(() => cutAll(again));
    const atReturn = numbers.acknowledged;
    await until(() => numbers.acknowledged > atReturn + 20);
    const count = await numbers.end();
    for (const [i, stream] of again.entries()) {
      const seen = numbersOf(lost[i]?.stream);
      await stream.recordsUpTo(count - seen.length);
      expect([...seen, ...numbersOf(stream)]).toEqual(upTo(0, count));
      expect(stream.named("reset")).toEqual([]);
    }
    for (const { stream } of kept) {
      await stream.recordsUpTo(count);
      expect(numbersOf(stream)).toEqual(upTo(0, count));
      expect(stream.isEnded).toBe(false);
    }
    await until(() => server.workers().length === 2);
    expect(server.workers()).toContain(spared);
    expect(server.workers()).not.toContain(killed);
    expect(await metric(server.url, "headgate_worker_restarts_total")).toBe(1);
    // What the killed one held is counted no more, and what came back is counted once.
    expect(await metric(server.url, "sse_connected_clients")).toBe(limit);
    await using late = await RawPeer.subscribe(server.port);
    expect(late.status).toBe(503);
    expectNeverBack([sent, published]);
  });

  test("G1 G3 at SIGTERM every worker closes its streams, answers what is under way and ends, and nothing is left", async () => {
    await drains((server) => server.kill("SIGTERM"));
  });

  test.concurrent("G1 SIGINT to the whole group, as a terminal sends it, is the same", async () => {
    // A process group of its own: the signal must not reach the tests.
    await drains((server) => process.kill(-server.pid, "SIGINT"), ["setsid"]);
  });

  test.concurrent("G2 the second signal ends all processes at once, whatever the grace", async () => {
    await using server = await startWorkers({ SHUTDOWN_GRACE: "60000" });
    const workers = twoOf(server);
    const streams = await Promise.all(workers.map((pid) => subscribeTo(server, pid)));
    server.kill("SIGTERM");
    await until(() => server.stdout().includes("server is stopping"));
    const sinceMs = performance.now();
    server.kill("SIGTERM");
    expect(await server.exited).not.toBe(0);
    await until(() => !workers.some(isRunning));
    expect(performance.now() - sinceMs).toBeLessThan(2000);
    for (const { stream } of streams) await stream.ended();
  });

  test.concurrent("G1 a worker that is hung does not hold the end beyond the grace", async () => {
    await using server = await startWorkers({ SHUTDOWN_GRACE: "1000" });
    const [hung, other] = twoOf(server);
    await using held = await subscribeTo(server, hung);
    await using peer = await subscribeTo(server, other);
    for (const { stream } of [held, peer]) await stream.first("live");
    process.kill(hung, "SIGSTOP");
    const sinceMs = performance.now();
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(performance.now() - sinceMs).toBeLessThan(3500);
    expect(isRunning(hung)).toBe(false);
    await peer.stream.ended();
    expect(peer.stream.events.at(-1)?.event).toBe("close");
  });

  test.concurrent("G4 a worker that hangs for good is replaced, and its clients come back to others", async () => {
    await using server = await startWorkers();
    const [hung, other] = twoOf(server);
    await using held = await subscribeTo(server, hung);
    await held.stream.first("live");
    process.kill(hung, "SIGSTOP");
    await until(() => !server.workers().includes(hung) && server.workers().length === 2, {
      deadlineMs: 25_000,
    });
    await held.stream.ended();
    const fresh = server.workers().find((pid) => pid !== other) ?? 0;
    await until(async () => {
      const answer = await askWorker(server, fresh, "/readyz").catch(() => undefined);
      return answer?.status === 200;
    });
  });

  test.concurrent("a signal to a worker alone does nothing: signals are the feeding process's", async () => {
    await using server = await startWorkers();
    const workers = twoOf(server);
    const peers = await Promise.all(workers.map((pid) => subscribeTo(server, pid)));
    for (const { stream } of peers) await stream.first("live");
    for (const pid of workers) {
      process.kill(pid, "SIGTERM");
      process.kill(pid, "SIGINT");
      expect((await askWorker(server, pid, "/readyz")).status).toBe(200);
    }
    expect((await publish(server.url, { data: "still" })).status).toBe(200);
    for (const { stream } of peers) {
      expect((await stream.recordsUpTo(1))[0]?.data).toBe('"still"');
      expect(stream.isEnded).toBe(false);
    }
    expect(server.workers()).toEqual([...workers]);
    await cutAll(peers);
  });

  test.concurrent("G2 workers without the process that feeds them end; a new start on the same folder and port goes on, and ids hold", async () => {
    using directory = temporaryDirectory();
    const settings = { DATA_DIR: directory.path, PORT: String(await freePort()) };
    await using server = await startWorkers(settings);
    const workers = twoOf(server);
    const peers = await Promise.all(workers.map((pid) => subscribeTo(server, pid)));
    for (const { stream } of peers) await stream.first("live");
    for (let i = 0; i < 5; i += 1) await publish(server.url, { data: i });
    const ids = await Promise.all(
      peers.map(async ({ stream }) => (await stream.recordsUpTo(5))[2]?.id ?? ""),
    );
    server.kill("SIGKILL");
    const isLeft = async (): Promise<boolean> =>
      workers.some(isRunning) || (await isListening(server.port));
    await until(async () => !(await isLeft()), { deadlineMs: 1000 });
    for (const { stream } of peers) await stream.ended();
    await using again = await startWorkers(settings);
    expect((await publish(again.url, { data: 5 })).status).toBe(200);
    for (const pid of twoOf(again)) {
      for (const id of ids) {
        await using peer = await subscribeTo(again, pid, "/events", `Last-Event-ID: ${id}\r\n`);
        await peer.stream.recordsUpTo(3);
        expect(numbersOf(peer.stream)).toEqual([3, 4, 5]);
        expect(peer.stream.named("reset")).toEqual([]);
      }
    }
  });

  test.concurrent("G4 a worker that stands still holds nobody up but its own clients, who then get everything", async () => {
    await using server = await startWorkers({ SSE_HEARTBEAT_INTERVAL: "200" });
    const [still, other] = twoOf(server);
    const peers = await Promise.all(
      [still, still, other, other].map((pid) => subscribeTo(server, pid, "/events?userId=ann")),
    );
    for (const { stream } of peers) await stream.first("live");
    expect((await askWorker(server, other, "/metrics")).status).toBe(200);
    const looks = ["/metrics", "/api/status", "/api/dashboard", "/kafka/status", "/readyz"];
    const asks = await Promise.all([
      ...looks.map((target) => prepareQuestion(server, other, target)),
      ...upTo(0, 4).map((data) => prepareQuestion(server, other, "/events", { body: { data } })),
    ]);
    const again = await prepareQuestion(server, other, "/events", { body: { data: 4 } });
    process.kill(still, "SIGSTOP");
    const stoppedMs = performance.now();
    const answers = await Promise.all(asks.map((ask) => ask()));
    expect(performance.now() - stoppedMs).toBeLessThan(2500);
    // From here on it is known that it is silent, and nobody waits for it.
    const againMs = performance.now();
    answers.push(await again());
    expect(performance.now() - againMs).toBeLessThan(500);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // As it last said: its streams are open still.
    expect(answers[0]?.text).toMatch(/^sse_connected_clients 4$/m);
    await Promise.all(peers.slice(2).map(({ stream }) => stream.recordsUpTo(5)));
    // Whoever is dealt to it waits.
    const late = await Promise.all(upTo(0, 8).map(() => RawPeer.send(server.port, HELLO)));
    await Bun.sleep(Math.max(0, 2000 - (performance.now() - stoppedMs)));
    expect(peers.slice(0, 2).map(({ stream }) => stream.records.length)).toEqual([0, 0]);
    process.kill(still, "SIGCONT");
    for (const peer of peers) {
      await peer.stream.recordsUpTo(5);
      expect(new Set(numbersOf(peer.stream))).toEqual(new Set(upTo(0, 5)));
      const beats = peer.stream.named("heartbeat").length;
      await peer.stream.until(() => peer.stream.named("heartbeat").length > beats);
    }
    for (const peer of late) {
      await peer.answered();
      expect(peer.status).toBe(200);
    }
    const { text } = await askWorker(server, still, "/events", { body: { data: "after" } });
    expect(JSON.parse(text)).toMatchObject({ receivers: 4 });
    expect(server.workers()).toEqual([still, other]);
    await cutAll([...peers, ...late]);
  });

  test.concurrent("G1 while the server stops, no worker takes the place of one that has ended", async () => {
    await using server = await startWorkers({ SHUTDOWN_GRACE: "3000" });
    // Each time the next one is longer in coming.
    for (let i = 0; i < 2; i += 1) await replaced(server, twoOf(server)[i] ?? 0);
    const [killed, other] = twoOf(server);
    const peers = await Promise.all(upTo(0, 30).map(() => subscribeTo(server, other)));
    process.kill(killed, "SIGKILL");
    await until(() => server.stdout().split("worker has ended").length === 4);
    server.kill("SIGTERM");
    let isStopped = false;
    void server.exited.then(() => (isStopped = true));
    const seen = new Set<number>();
    await until(() => {
      for (const pid of server.workers()) seen.add(pid);
      return isStopped;
    });
    expect(seen).toEqual(new Set([other]));
    for (const { stream } of peers) {
      await stream.ended();
      expect(stream.events.at(-1)?.event).toBe("close");
    }
  });

  test("G2 workers that are killed again and again, all at once too, are replaced each time; no slot is lost, and no count goes back", async () => {
    await using server = await startWorkers({ SSE_MAX_CONNECTIONS: "12" });
    await using sent = new Watch(server.url, "sse_events_sent_total");
    await using opened = new Watch(server.url, "sse_streams_opened_total");
    let last: number | undefined;
    for (let round = 0; round < 5; round += 1) {
      // Some are being let in, and some go, while the worker dies.
      const coming = Array.from({ length: 30 }, () =>
        RawPeer.subscribe(server.port).catch(() => undefined),
      );
      await publish(server.url, { data: round }).catch(() => undefined);
      const [one = 0, other = 0] = server.workers();
      if (round === 3) process.kill(other, "SIGKILL");
      last = await replaced(server, one);
      const peers = (await Promise.all(coming)).filter((peer) => peer !== undefined);
      await cutAll(peers);
    }
    await until(() => server.workers().length === 2);
    expect(server.workers()).toContain(last ?? 0);
    expect(await metric(server.url, "headgate_worker_restarts_total")).toBe(6);
    await until(async () => (await metric(server.url, "sse_connected_clients")) === 0);
    const peers = await Promise.all(upTo(0, 40).map(() => RawPeer.subscribe(server.port)));
    expect(peers.filter(({ status }) => status === 200)).toHaveLength(12);
    await publish(server.url, { data: "end" });
    for (const { stream, status } of peers) if (status === 200) await stream.recordsUpTo(1);
    await cutAll(peers);
    expect(await metric(server.url, "sse_streams_opened_total")).toBeGreaterThanOrEqual(12);
    expectNeverBack([sent, opened]);
  });
});

const HELLO = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** A stream from this position on, tried until it is let in. */
async function comeBack(
  { url }: Pick<WorkersServer, "url">,
  lastEventId: string,
): Promise<TestSubscriber> {
  let found: TestSubscriber | undefined;
  await until(async () => {
    const attempt = await TestSubscriber.open(url, "/events", { lastEventId }).catch(
      () => undefined,
    );
    await attempt?.until(() => attempt.events.length > 0 || attempt.isEnded);
    if (attempt?.events[0]?.event === "connection") found = attempt;
    return found !== undefined;
  });
  if (!found) throw new Error("Not let in");
  return found;
}

/** Stops a server under streams and publishes, and looks at how all of them end. */
async function drains(
  stop: (server: WorkersServer) => void,
  prefix?: readonly string[],
): Promise<void> {
  using directory = temporaryDirectory();
  const settings = { DATA_DIR: directory.path, SHUTDOWN_GRACE: "2000" };
  await using server = await startWorkers(settings, prefix);
  const workers = twoOf(server);
  const peers = await Promise.all(upTo(0, 40).map(() => RawPeer.subscribe(server.port)));
  for (const { stream } of peers) await stream.first("live");
  expect(new Set(servedBy(peers, workers)).size).toBe(2);
  const acknowledged: number[] = [];
  const refused: unknown[] = [];
  const posters = upTo(0, 6).map(async (poster) => {
    for (let i = 0; ; i += 1) {
      const data = 1_000_000 * poster + i;
      const answer = await publish(server.url, { data }).catch(() => undefined);
      // The last one finds nobody; those before are answered, one way or the other.
      if (!answer) break;
      if (answer.status === 200) acknowledged.push(data);
      else refused.push(await answer.json());
    }
  });
  await until(() => acknowledged.length > 50);
  const sinceMs = performance.now();
  stop(server);
  expect(await server.exited).toBe(0);
  expect(performance.now() - sinceMs).toBeLessThan(4000);
  expect(workers.filter(isRunning)).toEqual([]);
  expect(await isListening(server.port)).toBe(false);
  await Promise.all(posters);
  for (const { stream, body } of peers) {
    await stream.ended();
    expect(stream.events.at(-1)?.data).toBe('{"reason":"shutdown","reconnect":true}');
    expect(stream.retries).toHaveLength(2);
    expect(body).toEndWith("\n\n");
  }
  // They do not all come back at once.
  const closedMs = peers.map(({ stream }) => stream.events.at(-1)?.atMs ?? 0);
  expect(Math.max(...closedMs) - Math.min(...closedMs)).toBeGreaterThan(300);
  for (const problem of refused) expect(problem).toMatchObject({ mayBeStored: false });
  await using again = await startLocalServer(settings);
  await using all = await TestSubscriber.live(again.url, "/events?since=earliest");
  const stored = new Set(numbersOf(all));
  expect(stored.size).toBe(all.records.length);
  expect(acknowledged.filter((number) => !stored.has(number))).toEqual([]);
}
