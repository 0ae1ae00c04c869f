import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isQuick } from "./support/effort.ts";

const FILE = join(import.meta.dir, "../deploy/kernel/99-headgate.conf");

interface Line {
  readonly key: string;
  readonly value: string;
  /** `-`: where the key is not there, nothing is said. */
  readonly mayBeMissing: boolean;
}

const lines: readonly Line[] = readFileSync(FILE, "utf8")
  .split("\n")
  .filter((line) => !/^(?:#|$)/.test(line))
  .map((line) => {
    const [, missing, key = "", value = ""] = /^(-?)([\w.]+) = (.+)$/.exec(line) ?? [];
    return { key, value, mayBeMissing: missing === "-" };
  });

/** Changes nothing of this machine's: only `net.*` keys belong to a network namespace. */
const inNamespace = (...command: string[]): Bun.SyncSubprocess<"pipe", "pipe"> =>
  Bun.spawnSync(["unshare", "--net", ...command], { stdout: "pipe", stderr: "pipe" });

/** Whether sysctls can be set in a network namespace. With CI set it throws instead of saying no: nothing is skipped there. */
function canSetSysctls(): boolean {
  if (isQuick) return false;
  const isAble =
    process.platform === "linux" &&
    process.getuid?.() === 0 &&
    inNamespace("sysctl", "-w", "net.core.somaxconn=4096").success;
  if (!isAble && process.env["CI"] !== undefined) {
    throw new Error("Tests of sysctls need Linux, root, and the command sysctl (Debian: procps)");
  }
  return isAble;
}

describe.skipIf(!canSetSysctls())("the kernel's settings", () => {
  test("are of keys that there are", () => {
    expect(lines.length).toBeGreaterThan(8);
    const isThere = (key: string): boolean => Bun.spawnSync(["sysctl", "-n", key]).success;
    expect(lines.filter(({ key, mayBeMissing }) => !mayBeMissing && !isThere(key))).toEqual([]);
  });

  test("are taken over by the kernel as they are", () => {
    const own = lines.filter(({ key }) => key.startsWith("net.") && !key.includes("netfilter"));
    const values = own.map(({ key, value }) => `${key}=${value}`);
    const set = inNamespace("sysctl", "-w", ...values);
    expect(set.stderr.toString()).toBe("");
    expect(set.success).toBe(true);
    // The kernel may round or bound what it is given; what it says is what counts.
    const quoted = values.map((value) => `'${value}'`).join(" ");
    const keys = own.map(({ key }) => key).join(" ");
    const read = inNamespace("sh", "-c", `sysctl -q -w ${quoted} && sysctl -n ${keys}`);
    const found = read.stdout.toString().trim().replaceAll("\t", " ").split("\n");
    expect(found).toEqual(own.map(({ value }) => value));
  });
});
