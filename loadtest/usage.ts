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

/**
 * CPU time that the machine has spent so far on anything but this process and its children. Where it grows
 * during a measurement, somebody else had the cores.
 */
export function othersCpuSeconds(): number {
  return machineCpuSeconds() - familyCpuSeconds();
}

/** [proc_stat(5)]: user, nice, system, idle, iowait, irq, softirq, steal. */
function machineCpuSeconds(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const [user, nice, system, , , irq, softirq, steal] = line.split(/\s+/).slice(1).map(Number);
  const busy = [user, nice, system, irq, softirq, steal];
  return busy.reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) / TICKS_PER_SECOND;
}

function familyCpuSeconds(): number {
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids
    .filter((pid) => pid === process.pid || parentOf(pid) === process.pid)
    .reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    // It ended while the list was read.
    return undefined;
  }
}

/** [proc_pid_stat(5)] from the third field on: the second, a name in brackets, may hold spaces. */
function statFields(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
}
