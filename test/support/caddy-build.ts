import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { hasGo, runGo } from "./go.ts";

const VERSION = "2.10.2";
const PROGRAM = join(homedir(), ".cache", `headgate-caddy-${VERSION}`, "caddy");

/** Whether it is there, or the means to build it. */
export function canHaveCaddy(): boolean {
  return existsSync(PROGRAM) || hasGo();
}

let built: Promise<string> | undefined;

/**
 * The path of a Caddy of a known version, built by Go once per machine (about two minutes on two
 * cores). Two processes that build at the same time both succeed: the program is moved there whole.
 */
export function builtCaddy(): Promise<string> {
  built ??= existsSync(PROGRAM) ? Promise.resolve(PROGRAM) : build();
  return built;
}

async function build(): Promise<string> {
  const folder = join(PROGRAM, "..");
  mkdirSync(folder, { recursive: true });
  const attempt = mkdtempSync(join(folder, "build-"));
  try {
    const program = `github.com/caddyserver/caddy/v2/cmd/caddy@v${VERSION}`;
    await runGo(["install", program], { environment: { GOBIN: attempt } });
    renameSync(join(attempt, "caddy"), PROGRAM);
  } finally {
    rmSync(attempt, { recursive: true, force: true });
  }
  return PROGRAM;
}
