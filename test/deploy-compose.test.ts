import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { at, readYaml, REPOSITORY } from "./support/deploy-files.ts";
import { isQuick } from "./support/effort.ts";
import { npmPackages } from "./support/npm-packages.ts";

// dclint comes over the network when it is first asked for.
setDefaultTimeout(120_000);

/** Rules of taste: keys are in the order in which they are read, and texts in double quotes. */
const TASTE = [
  "service-keys-order",
  "services-alphabetical-order",
  "top-level-properties-order",
  "require-quotes-in-ports",
];

const services = at(readYaml("docker-compose.yml"), "services");

test.skipIf(isQuick)("dclint, which has the schema of Compose, finds nothing to say", async () => {
  const dclint = [process.execPath, join(await npmPackages("dclint@3.1.0"), "dclint")];
  const rules = TASTE.flatMap((rule) => ["--disable-rule", rule]);
  const file = join(REPOSITORY, "docker-compose.yml");
  const strictly = [...rules, "--max-warnings", "0", file];
  const { exitCode, stdout, stderr } = Bun.spawnSync([...dclint, ...strictly]);
  expect(`${stdout.toString()}${stderr.toString()}`.trim()).toBe("");
  expect(exitCode).toBe(0);
});

test("nothing is published beyond this machine, and no log grows for ever", () => {
  for (const [name, service] of Object.entries(Object(services) as Record<string, unknown>)) {
    const ports = at(service, "ports");
    for (const port of Array.isArray(ports) ? ports : []) {
      expect(`${name} ${String(port)}`).toStartWith(`${name} 127.0.0.1:`);
    }
    expect(at(service, "logging", "options", "max-size")).toBe("10m");
  }
});

test("the server may write to its volume, and to nothing else", () => {
  const server = at(services, "headgate");
  expect(at(server, "read_only")).toBe(true);
  expect(at(server, "cap_drop")).toEqual(["ALL"]);
  expect(at(server, "security_opt")).toEqual(["no-new-privileges:true"]);
  expect(at(server, "tmpfs")).toBeUndefined();
});
