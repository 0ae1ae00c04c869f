import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { arch, homedir, platform } from "node:os";
import { join } from "node:path";

const VERSION = "2.10.2";
const PROGRAM = join(homedir(), ".cache", `headgate-caddy-${VERSION}`, "caddy");

/** What this Caddy asks for. */
const GO_VERSION = "1.25.0";

/** The first minor version of Go that fetches by itself the later one which a program asks for. */
const FIRST_FETCHING_MINOR = 21;

/** Whether it is there, or the means to build it. */
export function canHaveCaddy(): boolean {
  return existsSync(PROGRAM) || Bun.which("go") !== null;
}

let built: Promise<string> | undefined;

/**
 * The path of a Caddy of a known version, built by Go once per machine (about two minutes on two
 * cores). Two processes that build at the same time both succeed: the program is moved there whole.
 */
export function builtCaddy(): Promise<string> {
  built ??= existsSync(PROGRAM) ? Promise.resolve(PROGRAM) : build();
  return built;
}

async function build(): Promise<string> {
  const folder = join(PROGRAM, "..");
  mkdirSync(folder, { recursive: true });
  const attempt = mkdtempSync(join(folder, "build-"));
  try {
    const program = `github.com/caddyserver/caddy/v2/cmd/caddy@v${VERSION}`;
    await run([await recentGo(), "install", program], { GOBIN: attempt });
    renameSync(join(attempt, "caddy"), PROGRAM);
  } finally {
    rmSync(attempt, { recursive: true, force: true });
  }
  return PROGRAM;
}

/** A Go that can build it: the installed one, or, where that is as old as Debian 12's, one that it fetches. */
async function recentGo(): Promise<string> {
  const [, minor = "0"] = /go1\.(\d+)/.exec(await run(["go", "version"])) ?? [];
  if (Number(minor) >= FIRST_FETCHING_MINOR) return "go";
  const machine = `${platform()}-${arch() === "x64" ? "amd64" : arch()}`;
  const toolchain = `golang.org/toolchain@v0.0.1-go${GO_VERSION}.${machine}`;
  const { Dir } = JSON.parse(await run(["go", "mod", "download", "-json", toolchain])) as {
    Dir: string;
  };
  // Modules are unpacked without the right to run what is in them.
  await run(["chmod", "-R", "+x", join(Dir, "bin"), join(Dir, "pkg/tool")]);
  return join(Dir, "bin/go");
}

/** What the command writes. */
async function run(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) {
    throw new Error(`${command.join(" ")} failed: ${errors.slice(-1000)}`);
  }
  return output;
}
