import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { until } from "./support/feed.ts";
import { freePort } from "./support/kafka-node.ts";
import { publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const README = join(import.meta.dir, "../README.md");

const HOST = { Host: "events.example.com" };

test.skipIf(!nginxAvailable())(
  "G5 the README's nginx streams, keeps quiet streams, resumes, and publishes for nobody",
  async () => {
    const [, snippet = ""] = /```nginx\n([^`]*)```/.exec(readFileSync(README, "utf8")) ?? [];
    await using server = await startLocalServer({
      ALLOWED_HOSTS: HOST.Host,
      SSE_HEARTBEAT_INTERVAL: "300",
    });
    await using proxy = await startNginx(`proxy_read_timeout 1s; ${snippet}`, server.port);
    await using subscriber = await TestSubscriber.live(proxy.url, "/events", { headers: HOST });
    // Longer than nginx waits for a byte.
    await subscriber.until(() => subscriber.named("heartbeat").length >= 5);
    await publish(server.url, [{ data: 1 }, { data: 2 }]);
    const [first] = await subscriber.recordsUpTo(2);
    const again = { headers: HOST, lastEventId: first?.id ?? "" };
    await using resumed = await TestSubscriber.live(proxy.url, "/events", again);
    expect(resumed.records.map(({ data }) => data)).toEqual(["2"]);
    expect((await publish(proxy.url, { data: 3 }, HOST)).status).toBe(403);
  },
);

/** With CI set it throws instead of saying no: nothing is skipped there. */
function nginxAvailable(): boolean {
  const found = Bun.which("nginx") !== null;
  if (!found && process.env["CI"] !== undefined) throw new Error("These tests need nginx");
  return found;
}

/** Runs nginx with what stands in its `http` block, listening on a free port instead of its own. */
async function startNginx(
  http: string,
  serverPort: number,
): Promise<AsyncDisposable & { url: string }> {
  const directory = temporaryDirectory();
  const port = await freePort();
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(
    join(directory.path, "nginx.conf"),
    `daemon off; master_process off; pid nginx.pid; error_log stderr;
    events {}
    http {
      access_log off;
      ${paths.map((name) => `${name}_temp_path ${name};`).join(" ")}
      ${http.replace("server {", `server { listen 127.0.0.1:${port};`).replace("127.0.0.1:3000", `127.0.0.1:${serverPort}`)}
    }`,
  );
  const nginx = Bun.spawn(["nginx", "-p", directory.path, "-c", "nginx.conf", "-e", "stderr"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const isListening = async (): Promise<boolean> =>
    nginx.exitCode !== null || (await connects(port));
  await until(isListening);
  if (nginx.exitCode !== null) throw new Error(await new Response(nginx.stderr).text());
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      nginx.kill("SIGTERM");
      await nginx.exited;
      directory[Symbol.dispose]();
    },
  };
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
