import { mkdir } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

/** Prints rows of cells with a heading, the columns aligned. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, column) => Math.max(widest[column] ?? 0, cell.length)),
    [],
  );
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join("  "));
  }
}

/** Says where the machine was not ours alone: delays and CPU per delivery are then not worth comparing. */
export function warnOfOthers(cores: number): void {
  if (cores < MAX_OTHERS_CORES) return;
  console.log(
    `\nDo not use these figures: ${cores.toFixed(2)} of a core went to other work meanwhile.`,
  );
}

const MAX_OTHERS_CORES = 0.1;

/** Writes `loadtest/results/<name>.json`: the result, when it was, and on which machine. */
export async function saveResult(name: string, result: object): Promise<void> {
  const directory = join(import.meta.dir, "results");
  await mkdir(directory, { recursive: true });
  const file = join(directory, `${name}.json`);
  const text = JSON.stringify(
    { at: new Date().toISOString(), machine: machine(), ...result },
    null,
    2,
  );
  await Bun.write(file, `${text}\n`);
  console.log(`\nWritten to ${file}`);
}

/** Microseconds, for a reader: `12.3 ms`. */
export function formatUs(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
}

function machine(): object {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? "unknown",
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    bun: Bun.version,
  };
}
