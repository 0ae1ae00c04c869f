import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One instruction of a Dockerfile, its lines joined. */
export interface Instruction {
  /** In capitals: `COPY`. */
  readonly name: string;
  readonly text: string;
}

/** From one `FROM` to the next. */
export interface Stage {
  /** What others call it in `--from=`; its number where it has no name. */
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

/** Reads as much of a Dockerfile as ours use: no heredocs, no variables, no parser directives. */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text.split("\n").filter((line) => !/^\s*(?:#|$)/.test(line));
  const stages: { name: string; instructions: Instruction[] }[] = [];
  for (const line of lines
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")) {
    const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === "FROM") {
      const as = / AS (\S+)$/i.exec(rest)?.[1];
      stages.push({ name: as ?? String(stages.length), instructions: [] });
    } else {
      stages.at(-1)?.instructions.push({ name, text: rest });
    }
  }
  return stages;
}

/** Whether a path of the build's context is sent to the builder: the last line that matches it decides. */
export function readDockerignore(context: string): (path: string) => boolean {
  const rules = readFileSync(join(context, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ isSent: line.startsWith("!"), glob: new Bun.Glob(line.replace(/^!/, "")) }));
  return (path) => {
    const parts = path.split("/");
    // A line that names a folder means what is in it.
    const above = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    const last = rules.findLast(({ glob }) => above.some((each) => glob.match(each)));
    return last?.isSent ?? true;
  };
}
