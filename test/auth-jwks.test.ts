import { expect, setDefaultTimeout, test } from "bun:test";
import { startJwtServer, statusOf } from "./support/callers.ts";
import { until } from "./support/feed.ts";
import { type LocalServer, publish, type Settings } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { makeKeyPair, sign, signText } from "./support/tokens.ts";

// They wait for a second each: on a busy machine together with others.
setDefaultTimeout(30_000);

const AUDIENCE = "headgate-tests";
const first = makeKeyPair("ES256");
const second = makeKeyPair("ES256");

/** Where the keys are fetched; the test says what is answered. */
class KeyEndpoint implements Disposable {
  requests = 0;
  answer: () => Response;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      this.requests += 1;
      return this.answer();
    },
  });

  constructor(answer: () => Response) {
    this.answer = answer;
  }

  get url(): string {
    return `${this.#server.url.href}keys`;
  }

  /** A server that checks tokens by these keys. */
  serverOf(): Promise<LocalServer> {
    return startJwtServer({ JWT_JWKS_URL: this.url, JWT_AUDIENCE: AUDIENCE });
  }

  /** From here on nothing listens. */
  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

const keySet = (...pairs: [kid: string, pair: typeof first][]): Response =>
  Response.json({ keys: pairs.map(([kid, { publicJwk }]) => Object.assign({ kid }, publicJwk)) });

async function headersOf(pair: typeof first, kid: string): Promise<Settings> {
  const claims = { aud: AUDIENCE, headgate: { subscribe: ["*"], publish: ["*"] } };
  return { Authorization: `Bearer ${await sign(pair, claims, { kid })}` };
}

const read = ({ url }: LocalServer, headers: Settings): Promise<number> =>
  statusOf(`${url}/events/recent`, headers);

/** What is answered while the keys cannot be had: retries for all, and no word about the endpoint. */
async function expectUnavailable(server: LocalServer, headers: Settings): Promise<void> {
  for (const path of ["/events", "/stream", "/events/recent"]) {
    await using source = await TestSubscriber.open(server.url, path, { headers });
    expect([path, source.response.status]).toEqual([path, 200]);
    await source.ended();
    expect(source.retries).toHaveLength(1);
    expect(source.retries[0]).toBeWithin(5000, 15_001);
    expect(source.events).toMatchObject([
      { event: "close", data: '{"reason":"overloaded","reconnect":true}' },
    ]);
    for (const Accept of ["*/*", "application/x-ndjson", "application/json"]) {
      await expect503(await fetch(`${server.url}${path}`, { headers: { ...headers, Accept } }));
    }
  }
  // No EventSource posts, whatever it accepts.
  await expect503(await publish(server.url, { data: 1 }, headers));
  await expect503(
    await publish(server.url, { data: 1 }, { ...headers, Accept: "text/event-stream" }),
  );
  await expect503(await fetch(`${server.url}/metrics`, { headers }));
  for (const path of ["/health", "/livez", "/readyz"]) {
    expect(await statusOf(`${server.url}${path}`)).toBe(200);
  }
}

async function expect503(response: Response): Promise<void> {
  expect(response.status).toBe(503);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({ type: "/errors/not-ready", status: 503 });
  expect(text).not.toMatch(/127\.0\.0\.1|http:|\/keys|ECONN|JWKS/);
}

test.concurrent("C7 keys rotate while the server runs: a new one is found, a withdrawn one is refused", async () => {
  using endpoint = new KeyEndpoint(() => keySet(["1", first]));
  await using server = await endpoint.serverOf();
  const [old, young] = [await headersOf(first, "1"), await headersOf(second, "2")];
  expect(await read(server, old)).toBe(200);
  expect(await read(server, young)).toBe(401);
  endpoint.answer = () => keySet(["1", first], ["2", second]);
  await until(async () => (await read(server, young)) === 200);
  expect(await read(server, old)).toBe(200);
  endpoint.answer = () => keySet(["2", second], ["3", makeKeyPair("ES256")]);
  // A stranger's token makes it look again.
  const stranger = await headersOf(first, "4");
  await until(async () => {
    await read(server, stranger);
    return (await read(server, old)) === 401;
  });
  expect(await read(server, young)).toBe(200);
  // The same name for another key.
  expect(await read(server, await headersOf(first, "2"))).toBe(401);
});

test.concurrent("C7 while the endpoint is down known keys live on, and others are told to come back", async () => {
  using endpoint = new KeyEndpoint(() => keySet(["1", first]));
  await using server = await endpoint.serverOf();
  const known = await headersOf(first, "1");
  await using subscriber = await TestSubscriber.live(server.url, "/events", { headers: known });
  endpoint[Symbol.dispose]();
  const unknown = await headersOf(second, "2");
  await until(async () => (await read(server, unknown)) === 503);
  await expectUnavailable(server, unknown);
  expect(await read(server, known)).toBe(200);
  expect((await publish(server.url, { data: 1 }, known)).status).toBe(200);
  await subscriber.recordsUpTo(1);
});

let metadataRequests = 0;
/** What only this machine may ask, as a cloud's metadata address is. */
const metadata = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => {
    metadataRequests += 1;
    return keySet(["1", first]);
  },
});

test.concurrent.each<[string, () => Response]>([
  ["500", () => new Response("down", { status: 500 })],
  ["404 with a key set", () => Response.json({ keys: [first.publicJwk] }, { status: 404 })],
  ["HTML", () => new Response("<p>login</p>", { headers: { "Content-Type": "text/html" } })],
  ["other JSON", () => Response.json([first.publicJwk])],
  ["a redirect", () => Response.redirect(metadata.url.href, 302)],
  ["a redirect that keeps the method", () => Response.redirect(metadata.url.href, 307)],
  ["a cut body", () => new Response('{"keys":[')],
])(
  "C7 an endpoint that answers with %s gives no keys, and no other is asked",
  async (_, answer) => {
    using endpoint = new KeyEndpoint(answer);
    await using server = await endpoint.serverOf();
    await expectUnavailable(server, await headersOf(first, "1"));
    expect(endpoint.requests).toBeGreaterThan(0);
    expect(metadataRequests).toBe(0);
    endpoint.answer = () => keySet(["1", first]);
    const headers = await headersOf(first, "1");
    await until(async () => (await read(server, headers)) === 200);
  },
);

test.concurrent("C7 an endpoint whose answer does not end is given up after a bounded number of bytes", async () => {
  const piece = new Uint8Array(64 * 1024).fill(0x20);
  let bytes = 0;
  const cancelled = Promise.withResolvers<void>();
  const endless = (): Response =>
    new Response(
      new ReadableStream({
        pull(controller) {
          bytes += piece.byteLength;
          controller.enqueue(piece);
        },
        cancel: () => cancelled.resolve(),
      }),
    );
  using endpoint = new KeyEndpoint(endless);
  await using server = await endpoint.serverOf();
  expect(await read(server, await headersOf(first, "1"))).toBe(503);
  await cancelled.promise;
  expect(bytes).toBeLessThan(64 * 1024 ** 2);
});

test.concurrent("C7 strangers do not choose how often the endpoint is asked", async () => {
  using endpoint = new KeyEndpoint(() => keySet(["1", first]));
  await using server = await endpoint.serverOf();
  const startedMs = performance.now();
  const kids = Array.from({ length: 100 }, (_, i) => `stranger-${i}`);
  const statuses = await Promise.all(
    kids.map(async (kid) => read(server, await headersOf(second, kid))),
  );
  expect(statuses).toEqual(Array(100).fill(401));
  for (const alg of ["HS256", "none", "RS256", "PS256"]) {
    const token = signText(JSON.stringify({ alg, kid: "1" }));
    expect(await read(server, { Authorization: `Bearer ${token}` })).toBe(401);
  }
  // Once a second, and once for the first time.
  const seconds = (performance.now() - startedMs) / 1000;
  expect(endpoint.requests).toBeLessThanOrEqual(2 + seconds);
});
