import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { Counter, type Gauge, type Registry } from "prom-client";
import { addGauge, type Collect } from "./metrics-observed.ts";

/**
 * The process, under the names that Prometheus's clients use. Not by prom-client's
 * `collectDefaultMetrics`: on Bun its heap spaces, handles and garbage collections are empty, its
 * `process_heap_bytes` is JavaScriptCore's reserved address space (gigabytes), its version is that
 * of another runtime, and it holds the event loop up for tens of milliseconds.
 */
export function addProcessMetrics(registry: Registry): void {
  const registers = [registry];
  let countedS = 0;
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time spent",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const spentS = (user + system) / 1e6;
      cpu.inc(spentS - countedS);
      countedS = spentS;
    },
  });
  const gauge = (name: string, help: string, collect: Collect): Gauge =>
    addGauge(registry, { name, help }, collect);

  const startedS = Date.now() / 1_000 - process.uptime();
  addGauge(
    registry,
    {
      name: "process_start_time_seconds",
      help: "When the process began, in seconds since 1970",
      // Of several processes, the oldest.
      aggregator: "min",
    },
    (set) => set(startedS),
  );
  gauge("process_resident_memory_bytes", "Resident memory", (set) =>
    set(process.memoryUsage.rss()),
  );
  gauge("headgate_heap_used_bytes", "JavaScript's heap", (set) =>
    set(process.memoryUsage().heapUsed),
  );
  const maxFiles = maxOpenFiles();
  if (maxFiles === undefined) return;
  gauge("process_open_fds", "Open file descriptors", async (set) => {
    const count = await openFiles().catch(() => undefined);
    // To count them may take one that is not to be had: the page is given all the same.
    if (count !== undefined) set(count);
  });
  gauge("process_max_fds", "Most file descriptors that may be open", (set) => set(maxFiles));
}

/** undefined where there is no procfs. */
function maxOpenFiles(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

async function openFiles(): Promise<number> {
  // Since Linux 6.2 the directory's size is their number. Before, they are counted, off the event
  // loop: that takes long where there are tens of thousands.
  const { size } = await stat("/proc/self/fd");
  return size > 0 ? size : (await readdir("/proc/self/fd")).length;
}
