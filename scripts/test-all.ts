/**
 * Everything that can be tested on this machine: the checks, then all tests. The last line is the
 * count alone, `N passed, N failed`, and `, N skipped` where there are any. With CI set, what is
 * missing is installed first (as root, with apt), and tests that cannot run fail.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Commands and files that some tests need, and the Debian packages that bring them. */
const PACKAGES: readonly Need[] = [
  { command: "nginx", packages: ["nginx"] },
  { command: "chromium", packages: ["chromium"] },
  { command: "java", packages: ["default-jdk-headless"] },
  { command: "mvn", packages: ["maven"] },
  { command: "cc", packages: ["gcc", "libc6-dev"] },
  { file: "/usr/include/zlib.h", packages: ["zlib1g-dev"] },
  { command: "promtool", packages: ["prometheus"] },
  { command: "haproxy", packages: ["haproxy"] },
  { command: "openssl", packages: ["openssl"] },
  // Clients of streams.
  { command: "curl", packages: ["curl"] },
  { command: "node", packages: ["nodejs"] },
  { command: "python3", packages: ["python3"] },
  { command: "pip3", packages: ["python3-pip"] },
  { command: "firefox-esr", packages: ["firefox-esr"] },
  { command: "go", packages: ["golang-go"] },
  // What servers are run with.
  { command: "systemd-analyze", packages: ["systemd"] },
  { command: "sysctl", packages: ["procps"] },
  { command: "unshare", packages: ["util-linux"] },
];

/** Tests that wait for minutes and do little: they run beside all others. */
const WAITING = "test/quiet-streams.test.ts";

/** A test that hangs must not hang the whole: all of it takes less than 25 minutes. */
const TESTS_TIMEOUT_MS = 22 * 60_000;

type Need = ({ readonly command: string } | { readonly file: string }) & {
  readonly packages: readonly string[];
};

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

if (process.env["CI"] !== undefined) await installMissing();
await testAll();

async function testAll(): Promise<void> {
  const { code } = await run(["bun", "run", "check"]);
  const isChecked = code === 0;
  if (!isChecked) process.stdout.write("\nThe checks have failed (bun run check).\n\n");
  const { passed, failed, skipped } = await runTests();
  const failures = failed + (isChecked ? 0 : 1);
  const counts = [`${passed} passed`, `${failures} failed`];
  if (skipped > 0) counts.push(`${skipped} skipped`);
  process.stdout.write(`\n${counts.join(", ")}\n`);
  process.exitCode = failures > 0 ? 1 : 0;
}

async function installMissing(): Promise<void> {
  const missing = PACKAGES.filter((need) => !isThere(need));
  if (missing.length === 0) return;
  const isAllowed = process.getuid?.() === 0 && Bun.which("apt-get") !== null;
  if (!isAllowed) return;
  await run(["apt-get", "update", "-qq"]);
  const packages = missing.flatMap((one) => one.packages);
  await run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...packages]);
}

function isThere(need: Need): boolean {
  return "command" in need ? Bun.which(need.command) !== null : existsSync(need.file);
}

/** Runs all tests; what the waiting ones write comes at the end. They build Caddy where it is not there: in what time is left. */
async function runTests(): Promise<Counts> {
  const waiting = runBunTest([WAITING], "pipe", ["nice", "-n", "19"]);
  const others = await runBunTest(["--path-ignore-patterns", WAITING, "src", "test"], "inherit");
  const beside = await waiting;
  process.stdout.write(beside.output);
  return {
    passed: others.passed + beside.passed,
    failed: others.failed + beside.failed,
    skipped: others.skipped + beside.skipped,
  };
}

async function runBunTest(
  what: readonly string[],
  output: "pipe" | "inherit",
  prefix: readonly string[] = [],
): Promise<Counts & Outcome> {
  const dir = mkdtempSync(join(tmpdir(), "headgate-tests-"));
  const report = join(dir, "junit.xml");
  try {
    const how = ["--reporter=junit", `--reporter-outfile=${report}`];
    const outcome = await run([...prefix, process.execPath, "test", ...how, ...what], {
      timeoutMs: TESTS_TIMEOUT_MS,
      output,
    });
    const counted = countsOf(report);
    // What goes wrong outside of tests (a file that does not load, a crash) is in no report.
    const failed = outcome.code === 0 ? counted.failed : Math.max(1, counted.failed);
    return { ...counted, failed, ...outcome };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The sums at the head of a JUnit report; a report that is not there counts as a failure. */
function countsOf(report: string): Counts {
  try {
    const [head = ""] = /<testsuites [^>]*>/.exec(readFileSync(report, "utf8")) ?? [];
    const sum = (name: string): number => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1]);
    const [tests, failed, skipped] = [sum("tests"), sum("failures"), sum("skipped")];
    return { passed: tests - failed - skipped, failed, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** How a command ended. */
interface Outcome {
  /** 1 where a signal ended it. */
  readonly code: number;
  /** What it wrote, where that was kept. */
  readonly output: string;
}

interface RunOptions {
  readonly timeoutMs?: number;
  /** `inherit`: it writes where we do. */
  readonly output?: "pipe" | "inherit";
}

async function run(
  [name = "", ...rest]: string[],
  { timeoutMs, output = "inherit" }: RunOptions = {},
): Promise<Outcome> {
  // This Bun itself: under npx no other may be there.
  const command = name === "bun" ? [process.execPath, ...rest] : [name, ...rest];
  const child = Bun.spawn(command, {
    stdin: "ignore",
    stdout: output,
    stderr: output,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  });
  const [written, complained, code] = await Promise.all([
    child.stdout?.text(),
    child.stderr?.text(),
    child.exited,
  ]);
  return {
    code: child.signalCode === null ? code : 1,
    output: `${written ?? ""}${complained ?? ""}`,
  };
}
