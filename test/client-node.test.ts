import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { CutProxy } from "./support/cut-proxy.ts";
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import type { Farewell } from "./support/node-reader.ts";
import { type LocalServer, metric, publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

const numbers = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + i);

/** Whether tests can have Node. With CI set it throws instead of saying no: nothing is skipped there. */
function nodeAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = Bun.which("node") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests of the client on Node need the command node");
  }
  return isAvailable;
}

/** A Node that reads a stream. */
interface NodeReader extends AsyncDisposable {
  readonly lines: readonly unknown[];
  readonly exited: Promise<number>;
  /** Ends its stdin. */
  end(): void;
}

describe.skipIf(!nodeAvailable())("the client on Node", () => {
  const directory = temporaryDirectory();
  let server: LocalServer;

  beforeAll(async () => {
    const { success } = await Bun.build({
      entrypoints: [join(import.meta.dir, "support/node-reader.ts")],
      outdir: directory.path,
      naming: "[name].mjs",
      target: "node",
    });
    expect(success).toBe(true);
    server = await startLocalServer({ SSE_RETRY_MS: "50" });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  const startReader = async (...args: string[]): Promise<NodeReader> => {
    const node = Bun.spawn(["node", join(directory.path, "node-reader.mjs"), ...args], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const lines: unknown[] = [];
    const read = async (): Promise<void> => {
      let rest = "";
      const decoder = new TextDecoder();
      for await (const piece of node.stdout) {
        const whole = (rest + decoder.decode(piece, { stream: true })).split("\n");
        rest = whole.pop() ?? "";
        lines.push(...whole.map((line): unknown => JSON.parse(line)));
      }
    };
    const reading = read();
    await until(() => lines.includes("live"));
    return {
      lines,
      exited: Promise.all([node.exited, reading]).then(([code]) => code),
      end: () => void node.stdin.end(),
      async [Symbol.asyncDispose]() {
        node.kill("SIGKILL");
        await node.exited;
      },
    };
  };

  const publishRange = (count: number, first: number): Promise<Response> =>
    publish(
      server.url,
      numbers(count, first).map((n) => ({ data: n })),
    );

  test("it reads gzip, is cut, goes on, and lets the program end; another one goes on from its id", async () => {
    await using proxy = await CutProxy.start(server.port);
    await using reader = await startReader(proxy.url);
    for (let n = 0; n < 3; n += 1) {
      await publishRange(1, n);
      // Each as it comes, packed as it is.
      await until(() => reader.lines.includes(n));
    }
    expect(await metric(server.url, "sse_gzip_output_bytes_total")).toBeGreaterThan(0);
    proxy.cutAfter(60);
    await publishRange(20, 3);
    await proxy.wasCut();
    await proxy.hasRefused(2);
    proxy.up();
    await until(() => reader.lines.includes(22));
    // An event is done with when the next one is asked for: the loop asks at once.
    reader.end();
    expect(await reader.exited).toBe(0);
    const isNumber = (line: unknown): boolean => typeof line === "number";
    expect(reader.lines.filter(isNumber)).toEqual(numbers(23));
    await publishRange(5, 23);
    const { lastEventId } = reader.lines.at(-1) as Farewell;
    await using next = await startReader(server.url, lastEventId ?? "");
    expect(next.lines).toEqual([...numbers(5, 23), "live"]);
    expect(reader.lines.filter((line) => line === "live")).toHaveLength(2);
  });
});
