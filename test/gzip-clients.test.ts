import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { chromiumAvailable, launchChromium, PageSource, startSite } from "./support/chromium.ts";
import { isQuick } from "./support/effort.ts";
import { GzipReader } from "./support/gzip-reader.ts";
import { nginxAvailable, startNginx } from "./support/nginx.ts";
import { RawPeer } from "./support/peers.ts";
import { publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { EventReader } from "./support/subscriber.ts";

// Go compiles its library when it is first asked to.
setDefaultTimeout(120_000);

/** Events that are stored as they are, deflated, larger than one write. */
const TEXTS = ["short", "long ".repeat(300), "very long ".repeat(12_000), "last"];

const CLIENTS = join(import.meta.dir, "gzip-clients");

/** A program that reads a stream as a client would, and writes to stdout what it has decoded. */
class ClientProgram extends EventReader implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;

  constructor(command: readonly string[]) {
    super();
    this.#child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    void this.#read();
  }

  /** What it said of the stream's end: its exit code and its errors. */
  async result(): Promise<{ code: number; errors: string }> {
    const errors = await new Response(this.#child.stderr).text();
    return { code: await this.#child.exited, errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    for await (const piece of this.#child.stdout) this.feed(piece);
    this.end();
  }
}

/** Runs a client: each event comes before the next one is published, and the end is a clean one. */
async function expectStream(command: (url: string) => readonly string[]): Promise<void> {
  await using server = await startLocalServer({ SHUTDOWN_GRACE: "200" });
  await using client = new ClientProgram(command(`${server.url}/events`));
  await client.first("live");
  await expectEach(server.url, client);
  await server.headgate.stop();
  expect(await client.result()).toEqual({ code: 0, errors: "" });
  expect(client.events.at(-1)?.event).toBe("close");
  expect(client.oddities).toEqual([]);
}

/** Each event is decoded before the next one is published. */
async function expectEach(url: string, reader: EventReader): Promise<void> {
  for (const [i, text] of TEXTS.entries()) {
    await publish(url, { data: text });
    await reader.recordsUpTo(i + 1);
  }
  expect(reader.records.map(({ data }) => data)).toEqual(TEXTS.map((text) => `"${text}"`));
}

/** Whether to do without a command. With CI set nothing is: there its test fails where it is missing. */
function isMissing(command: string): boolean {
  return Bun.which(command) === null && process.env["CI"] === undefined;
}

describe("B19 a compressed stream is read as it comes, and to its end, by", () => {
  test.skipIf(isMissing("curl"))("curl --compressed", () =>
    expectStream((url) => ["curl", "--compressed", "-sSN", url]),
  );

  test.skipIf(isMissing("node"))("Node's fetch", () =>
    expectStream((url) => ["node", join(CLIENTS, "reader.mjs"), url]),
  );

  test.skipIf(isMissing("python3"))("Python's standard library", () =>
    expectStream((url) => ["python3", join(CLIENTS, "reader.py"), url]),
  );

  test.skipIf(isQuick || isMissing("go"))("Go's net/http", async () => {
    using directory = temporaryDirectory();
    const program = join(directory.path, "reader");
    const build = Bun.spawn(["go", "build", "-o", program, join(CLIENTS, "reader.go")], {
      env: { ...process.env, GOTOOLCHAIN: "local", GO111MODULE: "off" },
      stderr: "inherit",
    });
    expect(await build.exited).toBe(0);
    await expectStream((url) => [program, url]);
  });

  test.skipIf(!chromiumAvailable())("Chromium's EventSource", async () => {
    await using server = await startLocalServer({ SSE_CORS_ORIGIN: "*", SHUTDOWN_GRACE: "200" });
    using site = startSite();
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(site.origin);
      const opened = page.waitForResponse((response) => response.url().startsWith(server.url));
      const source = await PageSource.open(page, `${server.url}/events`);
      expect((await (await opened).allHeaders())["content-encoding"]).toBe("gzip");
      await source.has("live");
      for (const [i, text] of TEXTS.entries()) {
        await publish(server.url, { data: text });
        const events = await source.has("message", i + 1);
        expect(events.at(-1)?.data).toBe(`"${text}"`);
      }
      await server.headgate.stop();
      await source.has("close");
    } finally {
      await browser.close();
    }
  });
});

describe.skipIf(!nginxAvailable())("B19 G5 through nginx", () => {
  test.each([
    ["that leaves the stream as it is", ""],
    ["that compresses what is not compressed", "gzip on; gzip_types *; gzip_min_length 1;"],
  ])("%s each event is decoded before the next, and the trailer is right", async (_, gzip) => {
    await using server = await startLocalServer({ SHUTDOWN_GRACE: "200" });
    await using nginx = await startNginx(`
      proxy_http_version 1.1;
      ${gzip}
      location / { proxy_pass ${server.url}; }`);
    await using subscriber = await GzipReader.live(Number(new URL(nginx.url).port));
    expect(subscriber.head).toInclude("content-encoding: gzip");
    await expectEach(server.url, subscriber);
    await server.headgate.stop();
    await subscriber.ended();
    expect(subscriber.failure).toBeUndefined();
    expect(subscriber.hasRightTrailer).toBe(true);
  });

  test("that decodes the stream for a client that cannot, each event comes before the next", async () => {
    await using server = await startLocalServer();
    await using nginx = await startNginx(`
      proxy_http_version 1.1;
      proxy_set_header Accept-Encoding gzip;
      gunzip on;
      location / { proxy_pass ${server.url}; }`);
    await using peer = await RawPeer.subscribe(Number(new URL(nginx.url).port));
    expect(peer.head.toLowerCase()).not.toInclude("content-encoding");
    await peer.stream.first("live");
    await expectEach(server.url, peer.stream);
  });
});
