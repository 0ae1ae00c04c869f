import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isQuick } from "./support/effort.ts";
import { pipAvailable, pipPackages } from "./support/pip-packages.ts";
import { publish, startServer } from "./support/server.ts";
import { TestSubscriber } from "./support/subscriber.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

// Packages come over the network when they are first asked for.
setDefaultTimeout(120_000);

const UNIT = join(import.meta.dir, "../deploy/systemd/headgate.service");
const SECRETS = join(import.meta.dir, "../deploy/systemd/secrets.conf");
const SANDBOX = join(import.meta.dir, "deploy-systemd/sandbox.py");
const NOBODY = "65534";

/** As in systemd.exec(5); the lowest is the best. Ours listens for strangers, and compiles while it runs. */
const MOST_EXPOSURE = 1.5;

/** Whether systemd-analyze can be had. With CI set it throws instead of saying no: nothing is skipped there. */
function systemdAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = Bun.which("systemd-analyze") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests of the unit need the command systemd-analyze (Debian: systemd)");
  }
  return isAvailable;
}

/** No manager is asked or started: it reads files. */
function analyze(...args: string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", "--no-pager", ...args]);
  return { code: exitCode, said: `${stdout.toString()}${stderr.toString()}` };
}

/** The values of a setting of the unit, in order. */
function settings(name: string): string[] {
  const lines = readFileSync(UNIT, "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));
}

describe.skipIf(!systemdAvailable())("the unit", () => {
  const directory = temporaryDirectory();
  const unit = join(directory.path, "headgate.service");

  beforeAll(() => {
    // Verified with the Bun that is here, and with the drop-in beside it.
    writeFileSync(
      unit,
      readFileSync(UNIT, "utf8").replaceAll("/usr/local/bin/bun", process.execPath),
    );
    mkdirSync(`${unit}.d`);
    cpSync(SECRETS, join(`${unit}.d`, "secrets.conf"));
  });

  test("is one that systemd can load, secrets included", () => {
    expect(faultsOf(unit)).toEqual([]);
    const broken = join(directory.path, "headgate-broken.service");
    writeFileSync(broken, readFileSync(unit, "utf8").replace("KillMode=mixed", "KillMode=mixd"));
    expect(faultsOf(broken)).toHaveLength(1);
  });

  test("exposes little", () => {
    const { said } = analyze("security", "--offline=true", unit);
    const [, level = ""] = /exposure level for headgate\.service: ([\d.]+)/.exec(said) ?? [];
    expect(Number(level)).toBeGreaterThan(0);
    expect(Number(level)).toBeLessThan(MOST_EXPOSURE);
  });

  test.skipIf(!pipAvailable() || process.getuid?.() !== 0).each(["1", "2"])(
    "lets the server work, with %s worker(s), behind its filters of system calls, namespaces and address families",
    async (workers) => {
      const { pythonPath } = await pipPackages(["pyseccomp==0.1.2"]);
      using data = temporaryDirectory();
      Bun.spawnSync(["chown", NOBODY, data.path]);
      const allowed = join(directory.path, "allowed");
      writeFileSync(allowed, allowedCalls().join("\n"));
      const [families = ""] = settings("RestrictAddressFamilies");
      const python = ["env", `PYTHONPATH=${pythonPath}`, "python3", SANDBOX];
      const sandbox = [...python, allowed, families.replaceAll(" ", ","), NOBODY];
      // The filters are there: a namespace is refused.
      expect(Bun.spawnSync([...sandbox, "unshare", "--user", "true"]).success).toBe(false);
      expect(Bun.spawnSync([...sandbox, "true"]).success).toBe(true);

      const own = { DATA_DIR: data.path, WORKERS: workers, SHUTDOWN_GRACE: "500" };
      await using server = await startServer(own, sandbox);
      await using subscriber = await TestSubscriber.live(server.url);
      expect((await publish(server.url, { data: 1 })).status).toBe(200);
      await subscriber.recordsUpTo(1);
      const page = await fetch(server.url, { headers: { Accept: "text/html" } });
      expect(page.headers.get("content-type")).toStartWith("text/html");
      server.kill("SIGTERM");
      expect(await server.exited).toBe(0);
      expect(server.stdout()).not.toMatch(/not bounded|EPERM|not permitted/);
    },
  );
});

/** What systemd says of a unit. Its exit code says nothing: it is 0 where a line is ignored. */
function faultsOf(unit: string): string[] {
  // Those two are of a later version than Debian 12 has.
  const news = /Unknown key(?: name)? 'Restart(?:Steps|MaxDelaySec)'/;
  const lines = analyze("verify", "--man=no", unit).said.split("\n");
  return lines.filter((line) => line.includes("headgate") && !news.test(line));
}

/** The system calls that the unit allows: sets of systemd's, and `~` takes away. */
function allowedCalls(): string[] {
  const allowed = new Set<string>();
  for (const line of settings("SystemCallFilter")) {
    const isTaken = line.startsWith("~");
    for (const name of line.replace("~", "").split(" ").flatMap(callsOf)) {
      if (isTaken) allowed.delete(name);
      else allowed.add(name);
    }
  }
  return [...allowed];
}

/** The system calls of a set; sets may hold sets. */
function callsOf(name: string): string[] {
  if (!name.startsWith("@")) return [name];
  const lines = analyze("syscall-filter", name)
    .said.split("\n")
    .slice(1)
    .map((line) => line.trim());
  return lines.filter((line) => /^@?\w/.test(line)).flatMap(callsOf);
}
