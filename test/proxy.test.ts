import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "./support/feed.ts";
import { nginxAvailable, startNginx } from "./support/nginx.ts";
import { RawPeer } from "./support/peers.ts";
import { metric, publish, type ServerProcess, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

const isSkipped = !nginxAvailable();

let server: ServerProcess;
let nginx: Awaited<ReturnType<typeof startNginx>>;
let url: string;

beforeAll(async () => {
  if (isSkipped) return;
  server = await startServer({ SSE_HEARTBEAT_INTERVAL: "300", ALLOWED_HOSTS: "events.example" });
  nginx = await startNginx(directivesFor(server.port));
  ({ url } = nginx);
});

afterAll(async () => {
  if (isSkipped) return;
  await nginx[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** nginx as it comes: buffering on, HTTP/1.0 to the server; and gzip for everything that it may compress. */
function directivesFor(upstream: number): string {
  return `
    gzip on;
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 1;
    location / { proxy_pass http://127.0.0.1:${upstream}; }
    location /forwarded/ {
      proxy_pass http://127.0.0.1:${upstream}/;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Host $host;
    }`;
}

test.skipIf(isSkipped)(
  "G5 through nginx as it comes the first bytes are there at once, and events flow",
  async () => {
    const startedMs = performance.now();
    await using subscriber = await TestSubscriber.live(url);
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(subscriber.response.headers.get("content-type")).toBe("text/event-stream;charset=utf-8");
    // nginx has obeyed it, and keeps it to itself.
    expect(subscriber.response.headers.get("x-accel-buffering")).toBeNull();
    for (let i = 0; i < 5; i += 1) {
      const sentMs = performance.now();
      expect((await publish(server.url, { data: i })).status).toBe(200);
      await subscriber.recordsUpTo(i + 1);
      expect(performance.now() - sentMs).toBeLessThan(1000);
    }
    await subscriber.first("heartbeat");
  },
);

test.skipIf(isSkipped)(
  "G5 B19 with gzip on at nginx each event still arrives at once",
  async () => {
    await using subscriber = await TestSubscriber.live(url, "/events", {
      headers: { "Accept-Encoding": "gzip, deflate, br" },
    });
    await publish(server.url, { data: "compressed or not" });
    expect((await subscriber.recordsUpTo(1))[0]?.data).toBe('"compressed or not"');
  },
);

test.skipIf(isSkipped)(
  "G5 G8 nginx speaks HTTP/1.0 to the server, HTTP/1.1 to the client, and a large event is whole",
  async () => {
    await using subscriber = await TestSubscriber.live(url);
    const data = "é".repeat(100_000);
    await publish(server.url, { data });
    expect((await subscriber.recordsUpTo(1))[0]?.data).toBe(JSON.stringify(data));
  },
);

test.skipIf(isSkipped)(
  "G5 a client that leaves nginx leaves the server as well, and resumes through it",
  async () => {
    const nobody = async (): Promise<boolean> =>
      (await metric(server.url, "sse_connected_clients")) === 0;
    // Those of the tests before are on their way out.
    await until(nobody);
    await using first = await TestSubscriber.live(url);
    const { lastEventId } = first;
    await first.cut();
    await until(nobody);
    await publish(server.url, { data: "missed" });
    await using resumed = await TestSubscriber.live(url, "/events", { lastEventId });
    expect(resumed.records.map((event) => event.data)).toEqual(['"missed"']);
  },
);

test.skipIf(isSkipped)(
  "through a proxy that says so nobody publishes or names themselves",
  async () => {
    const forwarded = `${url}/forwarded`;
    expect((await publish(forwarded, { data: 1 })).status).toBe(403);
    expect((await fetch(`${forwarded}/events?userId=a`)).status).toBe(403);
    const named = await fetch(`${forwarded}/health`, { headers: { Host: "events.example" } });
    expect(named.status).toBe(200);
    const unknown = await fetch(`${forwarded}/health`, { headers: { Host: "attacker.example" } });
    expect(unknown.status).toBe(403);
  },
);

test.skipIf(isSkipped)("G5 a shed stream and a problem come through as they are", async () => {
  const problem = await fetch(`${url}/events?topics=nothing`);
  expect(problem.status).toBe(404);
  expect(problem.headers.get("content-type")).toBe("application/problem+json");
  await using old = await RawPeer.send(Number(new URL(url).port), "GET /events HTTP/1.0\r\n\r\n");
  await old.stream.first("live");
});
