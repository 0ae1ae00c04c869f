import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ, which Linux shows to programs as 100 on every machine that Bun runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_KB = 4;

/** User and system time of a process so far, all its threads together. */
export function cpuSecondsOf(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a process; what the kernel holds for its sockets does not count. */
export function residentKbOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ");
  return Number(fields[1]) * PAGE_KB;
}

/** A process and all that descend from it, as they are at this moment. */
export function familyOf(pid: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), parentOf(Number(name))] as const);
  const family = [pid];
  // It grows while it is walked: each member's children are members.
  for (const member of family) {
    family.push(...parents.filter(([, parent]) => parent === member).map(([child]) => child));
  }
  return family;
}

/** `cpuSecondsOf` a process and all that descend from it. What ended without being waited for is lost. */
export function familyCpuSecondsOf(pid: number): number {
  return sumOf(familyOf(pid), cpuSecondsWithEndedChildrenOf);
}

/**
 * `residentKbOf` a process and all that descend from it. Pages that they share count for each of them,
 * so a difference says more than the sum.
 */
export function familyResidentKbOf(pid: number): number {
  return sumOf(familyOf(pid), residentKbOf);
}

/**
 * CPU time that the machine has spent so far on anything but this process and its family. Where it grows
 * during a measurement, somebody else had the cores.
 */
export function othersCpuSeconds(): number {
  return machineCpuSeconds() - familyCpuSecondsOf(process.pid);
}

/** [proc_stat(5)]: user, nice, system, idle, iowait, irq, softirq, steal. */
function machineCpuSeconds(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const [user, nice, system, , , irq, softirq, steal] = line.split(/\s+/).slice(1).map(Number);
  const busy = [user, nice, system, irq, softirq, steal];
  return busy.reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) / TICKS_PER_SECOND;
}

function sumOf(pids: readonly number[], read: (pid: number) => number): number {
  return pids.reduce((sum, pid) => {
    try {
      return sum + read(pid);
    } catch (error) {
      // It ended after it was listed.
      if (isGone(error)) return sum;
      throw error;
    }
  }, 0);
}

/** A child that ended, and was waited for, is counted with its parent: the sum over a family never falls. */
function cpuSecondsWithEndedChildrenOf(pid: number): number {
  const ticks = statFields(pid).slice(11, 15).map(Number);
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statFields(pid)[1]);
  } catch (error) {
    // It ended while the list was read.
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** The two answers of /proc for a process that is no more. */
function isGone(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ESRCH";
}

/** [proc_pid_stat(5)] from the third field on: the second, a name in brackets, may hold spaces. */
function statFields(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
}
