import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { isQuick } from "./effort.ts";

/** Where packages are kept from run to run: outside of the repository. */
const CACHE = process.env["PIP_PACKAGES"] ?? join(homedir(), ".cache", "headgate-pip");

/** Python packages, ready to be used. */
export interface PipPackages {
  /** For the environment variable PYTHONPATH: the modules, and what their commands import. */
  readonly pythonPath: string;
  /** The directory of their commands. Those written in Python want `PYTHONPATH` too. */
  readonly bin: string;
}

/** Whether tests can have Python packages. With CI set it throws instead of saying no: nothing is skipped there. */
export function pipAvailable(): boolean {
  if (isQuick) return false;
  const hasPip = (): boolean => Bun.spawnSync(["python3", "-m", "pip", "--version"]).success;
  const isAvailable = Bun.which("python3") !== null && hasPip();
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests with Python packages need python3 with pip (Debian: python3-pip)");
  }
  return isAvailable;
}

/**
 * Installs pinned packages (`requests==2.32.5`), once per machine and set of packages. Several
 * processes may ask for the same set at once: whoever is ready first gives it its name.
 */
export async function pipPackages(requirements: readonly string[]): Promise<PipPackages> {
  const unpinned = requirements.filter((one) => !one.includes("=="));
  if (unpinned.length > 0) throw new Error(`Not pinned with ==: ${unpinned.join(", ")}`);
  const { stdout: version } = Bun.spawnSync(["python3", "--version"]);
  const key = [version.toString(), ...requirements.toSorted()].join("\n");
  const path = join(CACHE, new Bun.CryptoHasher("sha256").update(key).digest("hex").slice(0, 16));
  if (!existsSync(path)) await install(requirements, path);
  return { pythonPath: path, bin: join(path, "bin") };
}

async function install(requirements: readonly string[], path: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const own = mkdtempSync(join(CACHE, "new-"));
  try {
    await pip(["install", "--target", own, ...requirements]);
    // Fails where somebody else was quicker: theirs is the same.
    renameSync(own, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

async function pip(args: readonly string[]): Promise<void> {
  const quietly = ["--quiet", "--disable-pip-version-check", "--no-input"];
  const child = Bun.spawn(["python3", "-m", "pip", ...args, ...quietly], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`pip failed:\n${`${out}${err}`.slice(-2_000)}`);
}
