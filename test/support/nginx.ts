import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./feed.ts";
import { freePort } from "./kafka-node.ts";
import { deployed, type Proxy, type ProxyChanges, startProxyProcess } from "./proxy-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { HOST } from "./tls.ts";

/** A running nginx. Stopped, and its directory removed, by `await using`. */
interface Nginx extends AsyncDisposable {
  readonly url: string;
}

/** Whether tests can have nginx. With CI set it throws instead of saying no: nothing is skipped there. */
export function nginxAvailable(): boolean {
  const isAvailable = Bun.which("nginx") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests through a proxy need the command nginx");
  }
  return isAvailable;
}

/** Starts it on a free port; `directives` are those of its one server, which must answer /health. */
export async function startNginx(directives: string): Promise<Nginx> {
  const port = await freePort();
  const nginx = await startHttpBlock(port, () => {
    return `access_log off; server { listen 127.0.0.1:${port}; ${directives} }`;
  });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/health`).catch(() => undefined))?.status === 200);
  return { url, [Symbol.asyncDispose]: () => nginx[Symbol.asyncDispose]() };
}

/** `deploy/nginx/headgate.conf`. */
export const oneNginx: Proxy = {
  start: (changes) => startFile("headgate.conf", "127.0.0.1:3000", changes.upstream, changes),
};

/** `deploy/nginx/outer.conf` before `deploy/nginx/inner.conf`. */
export const twoNginx: Proxy = {
  async start(changes) {
    const inner = await startFile("inner.conf", "127.0.0.1:3000", changes.upstream, changes);
    const outer = await startFile("outer.conf", "10.0.0.6:8080", inner.port, changes);
    return {
      port: outer.port,
      logs: () => outer.logs() + inner.logs(),
      async [Symbol.asyncDispose]() {
        await outer[Symbol.asyncDispose]();
        await inner[Symbol.asyncDispose]();
      },
    };
  },
};

type File = "headgate.conf" | "outer.conf" | "inner.conf";

async function startFile(
  file: File,
  upstream: string,
  upstreamPort: number,
  { certificate, readTimeoutMs = 60_000, retryMs = 3000, origin }: ProxyChanges,
): ReturnType<Proxy["start"]> {
  const port = await freePort();
  const tls: [string, string | number][] =
    file === "inner.conf"
      ? [["listen 8080;", `listen 127.0.0.1:${port};`]]
      : [
          ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
          ["/etc/nginx/events.pem", certificate.cert],
          ["/etc/nginx/events.key", certificate.key],
        ];
  return startHttpBlock(port, (logs) =>
    deployed(`nginx/${file}`, [
      ...tls,
      ["/var/log/nginx", logs],
      [`server ${upstream}`, `server 127.0.0.1:${upstreamPort}`],
      ["events.example.com", HOST],
      ["proxy_read_timeout 60s", `proxy_read_timeout ${readTimeoutMs}ms`],
      ["retry: 3000", `retry: ${retryMs}`],
      ["https://app.example.com", origin ?? "https://app.example.com"],
    ]),
  );
}

/** Runs nginx with this in its http block. */
async function startHttpBlock(
  port: number,
  http: (logs: string) => string,
): ReturnType<Proxy["start"]> {
  const directory = temporaryDirectory();
  const logs = join(directory.path, "logs");
  mkdirSync(logs);
  writeFileSync(join(directory.path, "nginx.conf"), configuration(directory.path, http(logs)));
  const command = ["nginx", "-p", directory.path, "-c", "nginx.conf", "-e", "logs/error.log"];
  const nginx = await startProxyProcess(command, port).catch((error: unknown) => {
    const said = readFileSync(join(logs, "error.log"), "utf8");
    directory[Symbol.dispose]();
    throw new Error(`nginx did not start: ${said}`, { cause: error });
  });
  return {
    port,
    logs: () =>
      ["headgate.log", "error.log"]
        .map((name) => join(logs, name))
        .map((path) => readFileSync(path, { encoding: "utf8", flag: "a+" }))
        .join(""),
    async [Symbol.asyncDispose]() {
      await nginx[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

function configuration(path: string, http: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${path}/${name};`)
    .join("\n  ");
  return `daemon off;
master_process off;
pid nginx.pid;
error_log logs/error.log;
events {}
http {
  ${paths}
  ${http}
}
`;
}
