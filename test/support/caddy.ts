import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { isQuick } from "./effort.ts";
import { freePort } from "./kafka-node.ts";
import { deployed, type Proxy, startProxyProcess } from "./proxy-process.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { type Certificate, HOST } from "./tls.ts";

const VERSION = "2.10.2";
const PROGRAM = join(homedir(), ".cache", `headgate-caddy-${VERSION}`, "caddy");

/** Whether tests can have Caddy. With CI set it throws instead of saying no: nothing is skipped there. */
export function caddyAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = existsSync(PROGRAM) || canBuild();
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests through Caddy build it: they need the command go, 1.21 or later");
  }
  return isAvailable;
}

/** Since 1.21 Go fetches the later version of itself that a program asks for. */
function canBuild(): boolean {
  if (Bun.which("go") === null) return false;
  const { stdout } = Bun.spawnSync(["go", "version"]);
  const [, minor = "0"] = /go1\.(\d+)/.exec(stdout.toString()) ?? [];
  return Number(minor) >= 21;
}

/**
 * The path of a Caddy of a known version, built by Go once per machine (about two minutes on two
 * cores). Two that build at the same time both succeed: the program is moved there whole.
 */
async function builtCaddy(): Promise<string> {
  if (existsSync(PROGRAM)) return PROGRAM;
  const folder = join(PROGRAM, "..");
  mkdirSync(folder, { recursive: true });
  const attempt = mkdtempSync(join(folder, "build-"));
  try {
    const build = Bun.spawn(
      ["go", "install", `github.com/caddyserver/caddy/v2/cmd/caddy@v${VERSION}`],
      {
        env: { ...process.env, GOBIN: attempt },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      },
    );
    const errors = await new Response(build.stderr).text();
    if ((await build.exited) !== 0) {
      throw new Error(`Go did not build Caddy ${VERSION}: ${errors.slice(-1000)}`);
    }
    renameSync(join(attempt, "caddy"), PROGRAM);
  } finally {
    rmSync(attempt, { recursive: true, force: true });
  }
  return PROGRAM;
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
