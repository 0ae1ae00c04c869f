import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where packages are kept from run to run: outside of the repository, which must not depend on them. */
const CACHE = process.env["NPM_PACKAGES"] ?? join(homedir(), ".cache", "headgate-npm");

/** Installs pinned programs (`pm2@7.0.4`), once per machine; resolves with the directory of their commands. */
export async function npmPackages(...requirements: readonly string[]): Promise<string> {
  const unpinned = requirements.filter((one) => !/.@\d/.test(one));
  if (unpinned.length > 0) throw new Error(`Not pinned with @: ${unpinned.join(", ")}`);
  const key = requirements.toSorted().join("\n");
  const path = join(CACHE, new Bun.CryptoHasher("sha256").update(key).digest("hex").slice(0, 16));
  if (!existsSync(path)) await install(requirements, path);
  return join(path, "node_modules", ".bin");
}

async function install(requirements: readonly string[], path: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const own = mkdtempSync(join(CACHE, "new-"));
  try {
    writeFileSync(join(own, "package.json"), "{}");
    const add = [process.execPath, "add", "--exact", "--ignore-scripts", ...requirements];
    const child = Bun.spawn(add, { cwd: own, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(`bun add failed:\n${said.slice(-2_000)}`);
    // Fails where somebody else was quicker: theirs is the same.
    renameSync(own, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
