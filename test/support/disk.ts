import { temporaryDirectory } from "./temporary-directory.ts";

/** A file system of its own, in memory; undefined where this machine does not let us mount one. */
export function mountDisk(path: string, size: string): Disposable | undefined {
  const mount = ["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path];
  if (Bun.spawnSync(mount).exitCode !== 0) return undefined;
  return { [Symbol.dispose]: () => void Bun.spawnSync(["umount", "-l", path]) };
}

/** Whether `mountDisk` works. With CI set it throws instead of saying no: nothing is skipped there. */
export function canMount(): boolean {
  using directory = temporaryDirectory();
  using disk = mountDisk(directory.path, "1m");
  if (disk === undefined && process.env["CI"] !== undefined) {
    throw new Error("Tests of full disks need the right to mount a tmpfs");
  }
  return disk !== undefined;
}
