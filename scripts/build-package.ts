/**
 * Makes dist/, which is what others get: the client as JavaScript, because Node takes no TypeScript
 * from node_modules, and the types of all that can be imported. The server itself is for Bun, which
 * runs it as it is.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../package.json" with { type: "json" };

const ROOT = join(import.meta.dir, "..");
const DIST = join(ROOT, "dist");

/** What follows `from`, `import` and `import(` where it is a file of ours. */
const SPECIFIER = /(\bfrom |\bimport |\bimport\()"(\.[^"]*)\.(?:ts|js)"/g;

rmSync(DIST, { recursive: true, force: true });
compile("tsconfig.package.json");
compile("tsconfig.package-server.json");
keepReachable();

function compile(project: string): void {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { exitCode } = Bun.spawnSync([process.execPath, tsc, "-p", project], {
    cwd: ROOT,
    stdout: "inherit",
    stderr: "inherit",
  });
  if (exitCode !== 0) process.exit(exitCode);
}

/** Removes what no entry leads to: the server's own modules come along with its types. */
function keepReachable(): void {
  const entries = Object.values(packageJson.exports)
    .flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)))
    .filter((path) => path.startsWith("./dist/"));
  const kept = new Set<string>();
  const open = entries.map((path) => join(ROOT, path));
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (kept.has(path)) continue;
    kept.add(path);
    open.push(...importsOf(path));
  }
  for (const name of readdirSync(DIST, { recursive: true, encoding: "utf8" })) {
    const path = join(DIST, name);
    if (/\.(?:js|ts)$/.test(path) && !kept.has(path)) {
      rmSync(path);
      rmSync(`${path}.map`);
    }
  }
}

/** The files that one of them imports; written so that every TypeScript finds them. */
function importsOf(path: string): string[] {
  const extension = path.endsWith(".d.ts") ? ".d.ts" : ".js";
  const text = readFileSync(path, "utf8");
  if (extension === ".d.ts") writeFileSync(path, text.replaceAll(SPECIFIER, '$1"$2.js"'));
  return [...text.matchAll(SPECIFIER)].map(([, , specifier = ""]) => {
    const imported = join(dirname(path), `${specifier}${extension}`);
    if (!existsSync(imported)) throw new Error(`${path} imports ${specifier}, which is not there`);
    return imported;
  });
}
