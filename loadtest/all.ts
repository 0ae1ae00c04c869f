import { readlinkSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { readOptions } from "./options.ts";
import { StepResult } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { buildPrograms } from "./programs.ts";
import { ProgressLine } from "./progress-line.ts";
import { printTable, saveResult } from "./report.ts";
import { STEPS } from "./steps.ts";
import { familyOf } from "./usage.ts";

/**
 * All load programs in short versions, one after the other, in some five minutes; at the end one table.
 * Figures are no tests: a target that is missed does not fail. A program that breaks, or an event that
 * is lost, does.
 *
 *   bun loadtest/all.ts [--only fanout,flush]
 *
 * Each runs in a process of its own, `--step <name>`, so that none finds what another left; what they
 * and their servers say goes to `loadtest/results/all.log`.
 */
async function main(): Promise<void> {
  const { only, step } = readOptions({}, ["only", "step"]).texts;
  if (step === undefined) await runAll(only?.split(",") ?? Object.keys(STEPS));
  else process.stdout.write(JSON.stringify(await stepNamed(step)()));
}

const RESULTS = join(import.meta.dir, "results");
const LOG = join(RESULTS, "all.log");

interface Step {
  readonly name: string;
  readonly seconds: number;
  /** Undefined where it broke. */
  readonly result: StepResult | undefined;
}

async function runAll(names: readonly string[]): Promise<void> {
  for (const name of names) stepNamed(name);
  await mkdir(RESULTS, { recursive: true });
  await using log = await open(LOG, "w");
  await buildPrograms();
  const steps: Step[] = [];
  for (const [index, name] of names.entries()) {
    using line = new ProgressLine(`${index + 1}/${names.length} ${name}`);
    const result = await runStep(name, log);
    const { seconds } = line;
    steps.push({ name, seconds, result });
  }
  print(steps);
  await saveResult("all", { steps });
  if (steps.some(({ result }) => result === undefined || result.faults > 0)) process.exitCode = 1;
}

/** Throws where there is none of that name. */
function stepNamed(name: string): () => Promise<StepResult> {
  const step = STEPS[name];
  if (step !== undefined) return step;
  throw new Error(`There is no ${name}; there are ${Object.keys(STEPS).join(", ")}`);
}

/** Longer than any step takes: one that hangs must not hang the others. */
const STEP_DEADLINE_MS = 180_000;

async function runStep(name: string, log: FileHandle): Promise<StepResult | undefined> {
  await log.write(`\n== ${name}\n`);
  const child = Bun.spawn([process.execPath, import.meta.path, "--step", name], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: log.fd,
  });
  const end = (): void => {
    for (const pid of familyOf(child.pid).filter(isBun)) kill(pid);
  };
  const stop = (): void => {
    end();
    process.exit(1);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const deadline = setTimeout(end, STEP_DEADLINE_MS);
  try {
    const output = new Response(child.stdout).text();
    await child.exited;
    return child.exitCode === 0 ? StepResult.parse(JSON.parse(await output)) : undefined;
  } finally {
    clearTimeout(deadline);
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** Programs, publishers and servers. What else there is ends, and cleans up, when these are gone. */
function isBun(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === readlinkSync("/proc/self/exe");
  } catch {
    // It ended by itself after it was listed.
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // As above.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function print(steps: readonly Step[]): void {
  const verdict = ({ isMet }: Outcome): string =>
    isMet === undefined ? "" : isMet ? "ok" : "missed";
  const rows = steps.flatMap(({ name, result }) => {
    if (result === undefined) return [[name, "broke", "", `see ${LOG}`]];
    const lost = [`${name}, events or streams lost`, String(result.faults), "0", "LOST"];
    return [
      ...result.outcomes.map((outcome) => [
        outcome.name,
        outcome.figure,
        outcome.target ?? "",
        verdict(outcome),
      ]),
      ...(result.faults > 0 ? [lost] : []),
    ];
  });
  console.log();
  printTable([["", "figure", "target", ""], ...rows]);
}

if (import.meta.main) await main();
