import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isQuick } from "./effort.ts";
import { freePort } from "./kafka-node.ts";
import { deployed, type Proxy, startProxyProcess } from "./proxy-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** Whether tests can have HAProxy. With CI set it throws instead of saying no: nothing is skipped there. */
export function haproxyAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = Bun.which("haproxy") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests through HAProxy need the command haproxy");
  }
  return isAvailable;
}

/** `deploy/haproxy/haproxy.cfg`. */
export const haproxy: Proxy = startable([]);

/** The same with its second server. */
export function haproxyOfTwo(second: number): Proxy {
  return startable([["# server two 127.0.0.1:3001", `server two 127.0.0.1:${second}`]]);
}

function startable(more: readonly (readonly [string, string])[]): Proxy {
  return {
    async start({ certificate, upstream, readTimeoutMs = 60_000, retryMs = 3000, origin }) {
      using cleanup = new DisposableStack();
      const directory = cleanup.use(temporaryDirectory());
      const port = await freePort();
      const file = join(directory.path, "haproxy.cfg");
      const text = deployed("haproxy/haproxy.cfg", [
        ["log /dev/log local0", "log stdout format raw local0"],
        ["bind :443", `bind 127.0.0.1:${port}`],
        ["/etc/haproxy/events.pem", certificate.both],
        ["server one 127.0.0.1:3000", `server one 127.0.0.1:${upstream}`],
        ["timeout client 60s", `timeout client ${readTimeoutMs}ms`],
        ["timeout server 60s", `timeout server ${readTimeoutMs}ms`],
        ["retry: 3000", `retry: ${retryMs}`],
        ["inter 2s", "inter 300ms"],
        ["https://app.example.com", origin ?? "https://app.example.com"],
        ...more,
      ]);
      writeFileSync(file, text);
      const child = await startProxyProcess(["haproxy", "-db", "-f", file], port);
      const kept = cleanup.move();
      return {
        port,
        logs: () => child.output(),
        async [Symbol.asyncDispose]() {
          await child[Symbol.asyncDispose]();
          kept.dispose();
        },
      };
    },
  };
}
