/**
 * Makes one file of Bun, the server and its console:
 * `bun scripts/build-binary.ts [--outfile=build/headgate] [--target=bun-linux-arm64]`.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dir, "..");

const { values } = parseArgs({
  args: Bun.argv.slice(2),
  options: {
    outfile: { type: "string", default: join(ROOT, "build/headgate") },
    target: { type: "string" },
  },
});

await build(resolve(values.outfile), values.target);

async function build(outfile: string, target: string | undefined): Promise<void> {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  // Within the project: what stack traces call a file is its path from here.
  const directory = mkdtempSync(join(ROOT, "build/binary-"));
  try {
    const { outputs } = await Bun.build({
      // The checkpointer is a thread's, which is looked for beside the rest.
      entrypoints: [join(ROOT, "src/app.ts"), join(ROOT, "src/log/checkpointer.ts")],
      naming: { entry: "[name].[ext]" },
      target: "bun",
      format: "esm",
      // Nothing is left to parse at the start, which takes a third of the time.
      bytecode: true,
      // Stack traces name files and lines of the source.
      sourcemap: "linked",
      minify: { whitespace: true, syntax: true },
      define: {
        IS_HEADGATE_BINARY: "true",
        // Else it is where this machine keeps its packages.
        __dirname: '"/"',
      },
      compile: {
        outfile: join(directory, "headgate"),
        // That of the folder where it happens to be started.
        autoloadBunfig: false,
        // The cast holds: the build refuses a name that it does not know.
        ...(target !== undefined && { target: target as Bun.Build.CompileTarget }),
      },
    });
    const binary = outputs.find(({ kind }) => kind === "entry-point");
    if (!binary) throw new Error("The build has made no program");
    mkdirSync(dirname(outfile), { recursive: true });
    // Removed first: a program that runs cannot be written to.
    rmSync(outfile, { force: true });
    copyFileSync(binary.path, outfile);
    process.stdout.write(`${outfile}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
