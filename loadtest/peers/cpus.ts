import { availableParallelism } from "node:os";
import { run } from "./cache.ts";

/** Whether servers can be given a CPU of their own, beside which there is one for all else. */
export const canPin = Bun.which("taskset") !== null && availableParallelism() > 1;

const CPUS = { server: "0", others: `1-${availableParallelism() - 1}` } as const;

/** What to put before a command, so that it runs there. */
export function cpusOf(who: keyof typeof CPUS): readonly string[] {
  return canPin ? ["taskset", "-c", CPUS[who]] : [];
}

/** Moves a process with all its threads; what it starts from now on runs there too. */
export async function pin(pid: number, who: keyof typeof CPUS): Promise<void> {
  if (canPin) await run(["taskset", "-a", "-p", "-c", CPUS[who], String(pid)]);
}
