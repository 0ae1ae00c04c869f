import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtCaddy, canHaveCaddy } from "./caddy-build.ts";
import { isQuick } from "./effort.ts";
import { freePort } from "./kafka-node.ts";
import { deployed, type Proxy, startProxyProcess } from "./proxy-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { type Certificate, HOST } from "./tls.ts";

/** Whether tests can have Caddy. With CI set it throws instead of saying no: nothing is skipped there. */
export function caddyAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = canHaveCaddy();
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests through Caddy build it: they need the command go");
  }
  return isAvailable;
}

/** `deploy/caddy/Caddyfile`. */
export const caddy: Proxy = {
  async start({ certificate, upstream, readTimeoutMs = 60_000, retryMs = 3000, origin }) {
    const program = await builtCaddy();
    using cleanup = new DisposableStack();
    const directory = cleanup.use(temporaryDirectory());
    const port = await freePort();
    const file = join(directory.path, "Caddyfile");
    const text = deployed("caddy/Caddyfile", [
      // No requests for certificates, no listener beside the one below.
      ["\n{\n", "\n{\nadmin off\nauto_https off\n"],
      [
        "\nevents.example.com {",
        `\nhttps://${HOST}:${port} {\nbind 127.0.0.1\n${tls(certificate)}`,
      ],
      ["127.0.0.1:3000", `127.0.0.1:${upstream}`],
      ["read_timeout 60s", `read_timeout ${readTimeoutMs}ms`],
      ["health_interval 2s", "health_interval 300ms"],
      ["retry: 3000", `retry: ${retryMs}`],
      ["https://app.example.com", origin ?? "https://app.example.com"],
    ]);
    writeFileSync(file, text);
    const command = [program, "run", "--config", file, "--adapter", "caddyfile"];
    // Nothing is written to, or read from, the user's own.
    const home = { HOME: directory.path, XDG_DATA_HOME: directory.path };
    const child = await startProxyProcess(command, port, {
      ...home,
      XDG_CONFIG_HOME: directory.path,
    });
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

function tls({ cert, key }: Certificate): string {
  return `tls ${cert} ${key}`;
}
