import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** A folder for what a peer is installed into, outside of the repository. */
export async function cacheFolder(name: string): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "headgate-peers", name);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Runs a command to its end; its output. Throws with the last of what it said where it fails. */
export async function run(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const [program = ""] = command;
  if (Bun.which(program) === null) throw new Error(`there is no command ${program}`);
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? ".",
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) === 0) return `${output}${complaints}`.trim();
  const last = complaints.trim().split("\n").at(-1)?.trim() ?? "";
  throw new Error(`${command.slice(0, 3).join(" ")} failed: ${last.slice(0, MAX_REASON)}`);
}

const MAX_REASON = 200;
