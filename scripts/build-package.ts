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
await bundleWorker();
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

/**
 * The worker's script in one piece: a worker finds no packages by their names where nobody bundles it,
 * and import maps do not hold there.
 */
async function bundleWorker(): Promise<void> {
  const path = join(DIST, "client/tabs-worker.js");
  const license = readFileSync(join(ROOT, "node_modules/eventsource-parser/LICENSE"), "utf8");
  const { outputs } = await Bun.build({
    entrypoints: [path],
    target: "browser",
    // No comments of where the modules lie on this machine.
    minify: { whitespace: true },
    banner: `/*! With eventsource-parser:\n${license}*/`,
  });
  const [script] = outputs;
  if (!script) throw new Error("The build has made no worker");
  writeFileSync(path, await script.text());
  rmSync(`${path}.map`);
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
      rmSync(`${path}.map`, { force: true });
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
