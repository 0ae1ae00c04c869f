import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { isQuick } from "./effort.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const ROOT = join(import.meta.dir, "../..");

/** What the package is made of, and made with. */
const SOURCES = [
  "package.json",
  "src",
  "scripts/build-package.ts",
  "tsconfig.json",
  "tsconfig.package.json",
  "tsconfig.package-server.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
];

/** The package as it would be published. Removed at the end of the block. */
export interface PackedPackage extends Disposable {
  /** The path of the .tgz. */
  readonly tarball: string;
  /** A folder in whose node_modules it lies, alone. */
  readonly project: string;
  /** Where it lies. */
  readonly directory: string;
  /** Paths in it, in order. */
  readonly files: readonly string[];
}

/** Whether packages can be made here. With CI set it throws instead of saying no: nothing is skipped there. */
export function npmAvailable(): boolean {
  if (isQuick) return false;
  const found = Bun.which("npm") !== null;
  if (!found && process.env["CI"] !== undefined) throw new Error("These tests need npm");
  return found;
}

/** Makes it from a copy of the sources: others may be making it from the sources themselves. */
export async function packPackage(): Promise<PackedPackage> {
  const temporary = temporaryDirectory();
  const sources = join(temporary.path, "sources");
  for (const name of SOURCES) {
    cpSync(join(ROOT, name), join(sources, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(sources, "node_modules"));
  const to = `--pack-destination=${temporary.path}`;
  const name = await run(["npm", "pack", "--silent", to], sources);
  const tarball = join(temporary.path, name.trim());
  const project = join(temporary.path, "project");
  const directory = join(project, "node_modules/headgate");
  mkdirSync(directory, { recursive: true });
  await run(["tar", "-xzf", tarball, "--strip-components=1"], directory);
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: directory, dot: true })].toSorted();
  return { tarball, project, directory, files, [Symbol.dispose]: temporary[Symbol.dispose] };
}

/** Resolves with what a command writes to standard output; `bun` is this one. Rejects with all that it says, where it fails. */
export async function run(command: readonly string[], cwd: string): Promise<string> {
  using own = temporaryDirectory();
  // Under npx it may have another name, or lie in no folder of PATH.
  symlinkSync(process.execPath, join(own.path, "bun"));
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, PATH: [own.path, process.env["PATH"]].join(delimiter) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${output}${errors}`);
  return output;
}

/** An empty project with the package in it, and what it needs from the registry. */
export async function installPackage(
  { tarball }: PackedPackage,
  command: readonly string[],
): Promise<Disposable & { readonly path: string }> {
  const directory = temporaryDirectory();
  await Bun.write(join(directory.path, "package.json"), '{"private":true,"type":"module"}');
  await run([...command, tarball], directory.path);
  return directory;
}
