import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { isQuick } from "./support/effort.ts";
import { until } from "./support/feed.ts";
import { produceWithJava } from "./support/kafka-node.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { publish, type ServerProcess, type Settings, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { childrenOf, isRunning } from "./support/workers.ts";

// It is compiled first, and what it starts are processes.
setDefaultTimeout(30_000);

const ROOT = join(import.meta.dir, "..");

/** As browsers send it. */
const HTML = { Accept: "text/html" };

describe.skipIf(isQuick)("the single binary", () => {
  const directory = temporaryDirectory();
  const binary = join(directory.path, "headgate");

  beforeAll(async () => {
    const script = join(ROOT, "scripts/build-binary.ts");
    await run([process.execPath, script, `--outfile=${binary}`]);
  });

  afterAll(() => directory[Symbol.dispose]());

  /** What would run the source runs this instead, as the same process. */
  const startBinary = (settings: Settings): Promise<ServerProcess> =>
    startServer(settings, ["sh", "-c", `exec "${binary}"`]);

  test("says what it is and how it is set up, and knows no other options", async () => {
    expect(await run([binary, "--version"])).toBe(`headgate ${packageJson.version}\n`);
    expect(await run([binary, "--help"])).toBe(
      await run([process.execPath, join(ROOT, "src/app.ts"), "--help"]),
    );
    // What makes a worker of it is for the server alone.
    expect(await run([binary, "--worker"]).catch(String)).toInclude("Unknown option --worker");
  });

  test("serves the console that was built into it", async () => {
    await using server = await startBinary({});
    const page = await (await fetch(server.url, { headers: HTML })).text();
    const files = [...page.matchAll(/(?:src|href)="(\.\/console\/[^"]+)"/g)];
    expect(files.length).toBeGreaterThanOrEqual(2);
    for (const [, file = ""] of files) {
      const asset = await fetch(new URL(file, `${server.url}/`));
      expect(asset.status).toBe(200);
      expect((await asset.text()).length).toBeGreaterThan(1000);
    }
    // bun:ffi sets them.
    expect(server.stdout()).not.toInclude("kernel send buffers are not bounded");
  });

  test("keeps events in its log over a kill, gives each its exact rest, and stops with 0", async () => {
    using data = temporaryDirectory();
    const settings = { DATA_DIR: data.path, SHUTDOWN_GRACE: "500" };
    const server = await startBinary(settings);
    await using subscriber = await TestSubscriber.live(server.url);
    await publish(server.url, { data: "first" });
    const [first] = await subscriber.recordsUpTo(1);
    await publish(server.url, { data: "second" });
    // The thread that copies the write-ahead log back has been built into it too.
    await until(() => readFileSync(join(data.path, "embedded.db"), "latin1").includes("second"));
    server.kill("SIGKILL");
    await server.exited;
    await using again = await startBinary(settings);
    await using resumed = await TestSubscriber.live(again.url, "/events", {
      lastEventId: first?.id ?? "",
    });
    expect(resumed.records.map(({ data: text }) => text)).toEqual(['"second"']);
    again.kill("SIGTERM");
    expect(await again.exited).toBe(0);
    expect(resumed.events.at(-1)?.event).toBe("close");
  });

  test("is its own worker: what one takes in all stream, and one that dies is replaced", async () => {
    using data = temporaryDirectory();
    await using server = await startBinary({ WORKERS: "2", DATA_DIR: data.path });
    const workers = childrenOf(server.pid);
    expect(workers).toHaveLength(2);
    for (const pid of workers) {
      expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe(`${binary}\0--worker\0`);
    }
    const subscribers = await Promise.all(
      Array.from({ length: 8 }, () => TestSubscriber.live(server.url)),
    );
    await publish(server.url, { data: "to all" });
    for (const subscriber of subscribers) {
      expect((await subscriber.recordsUpTo(1)).map(({ data: text }) => text)).toEqual(['"to all"']);
      await subscriber[Symbol.asyncDispose]();
    }
    const [victim = 0] = workers;
    process.kill(victim, "SIGKILL");
    await until(() => server.stdout().includes("worker has been replaced"));
    const now = childrenOf(server.pid);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    await until(() => ![...workers, ...now].some(isRunning));
  });

  test.skipIf(!kafkaAvailable())("reads what Kafka holds, and writes to it", async () => {
    const kafka = await sharedKafka();
    const topic = uniqueTopic("binary");
    await kafka.createTopic(topic, 1);
    // Those whose codecs are packages; Bun has the others.
    const codecs = ["lz4", "snappy"] as const;
    await Promise.all(codecs.map((codec) => produceWithJava(kafka.brokers, topic, codec, [codec])));
    using data = temporaryDirectory();
    await using server = await startBinary({
      KAFKA_BROKERS: kafka.brokers.join(","),
      KAFKA_TOPICS: topic,
      DATA_DIR: data.path,
    });
    await using subscriber = await TestSubscriber.live(server.url, "/events?since=earliest");
    expect((await publish(server.url, { data: "ours" })).status).toBe(200);
    const records = await subscriber.recordsUpTo(codecs.length + 1);
    expect(records.map(({ data: text }) => text).toSorted()).toEqual(['"ours"', ...codecs]);
  });
});

test.skipIf(isQuick)(
  "another program that Headgate was bundled into refuses workers: it would start itself",
  async () => {
    using directory = temporaryDirectory();
    const entry = join(directory.path, "application.ts");
    const library = JSON.stringify(join(ROOT, "src/headgate.ts"));
    await Bun.write(
      entry,
      `import { createHeadgate } from ${library};
       const headgate = createHeadgate({ port: 0, workers: 2, dataDir: "./data", logLevel: "silent" });
       await headgate.start().catch(({ code, message }) => console.log(code, message));`,
    );
    const outfile = join(directory.path, "application");
    await Bun.build({ entrypoints: [entry], target: "bun", compile: { outfile } });
    expect(await run([outfile], directory.path)).toMatch(/^configuration WORKERS above 1 needs/);
  },
);

/** Resolves with what it writes to standard output. Rejects with what else it says, where it fails. */
async function run(command: readonly string[], cwd = ROOT): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(errors);
  return output;
}
