import { arch, platform } from "node:os";
import { join } from "node:path";
import { isQuick } from "./effort.ts";

/** Where Go's own archive is unpacked to, which is in nobody's PATH at first. */
const USUAL_PLACE = "/usr/local/go/bin";

/** What the programs ask for that are compiled here. Debian 12's is older. */
const NEEDED_MINOR = 22;

/** The one that is fetched where the installed one is older. */
const FETCHED_VERSION = "1.25.0";

const findGo = (): string | null =>
  Bun.which("go", { PATH: `${process.env["PATH"] ?? ""}:${USUAL_PLACE}` });

export const hasGo = (): boolean => findGo() !== null;

/** Whether tests can compile Go. With CI set it throws instead of saying no: nothing is skipped there. */
export function goAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = hasGo();
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests with Go clients need the command go");
  }
  return isAvailable;
}

/** Compiles all commands of a module into a directory. */
export async function buildGo(module: string, directory: string): Promise<void> {
  await runGo(["build", "-o", `${directory}/`, "./..."], {
    cwd: module,
    environment: { GOFLAGS: "-mod=readonly" },
  });
}

/** Runs a Go that is recent enough: the installed one, or one that this fetches. What it writes. */
export async function runGo(
  words: readonly string[],
  { cwd, environment = {} }: { cwd?: string; environment?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  recent ??= recentGo();
  return run([await recent, ...words], cwd, environment);
}

let recent: Promise<string> | undefined;

async function recentGo(): Promise<string> {
  const installed = findGo() ?? "go";
  const [, minor = "0"] = /go1\.(\d+)/.exec(await run([installed, "version"])) ?? [];
  if (Number(minor) >= NEEDED_MINOR) return installed;
  const machine = `${platform()}-${arch() === "x64" ? "amd64" : arch()}`;
  const toolchain = `golang.org/toolchain@v0.0.1-go${FETCHED_VERSION}.${machine}`;
  const { Dir } = JSON.parse(await run([installed, "mod", "download", "-json", toolchain])) as {
    Dir: string;
  };
  // Modules are unpacked without the right to run what is in them.
  await run(["chmod", "-R", "+x", join(Dir, "bin"), join(Dir, "pkg/tool")]);
  return join(Dir, "bin/go");
}

async function run(
  command: readonly string[],
  cwd?: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    ...(cwd !== undefined && { cwd }),
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
    throw new Error(`${command.join(" ")} failed: ${errors.slice(-2000)}`);
  }
  return output;
}
