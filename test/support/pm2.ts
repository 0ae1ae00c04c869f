import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { isQuick } from "./effort.ts";
import { npmPackages } from "./npm-packages.ts";
import type { Settings } from "./server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** Whether tests can have PM2, which is a program for Node. With CI set it throws instead of saying no: nothing is skipped there. */
export function pm2Available(): boolean {
  if (isQuick) return false;
  const isAvailable = process.platform === "linux" && Bun.which("node") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests with PM2 need Linux and the command node");
  }
  return isAvailable;
}

/** A PM2 with a home of its own: it sees nobody else's processes. Ended, with all it has started, by `await using`. */
export class Pm2 implements AsyncDisposable {
  readonly #directory = temporaryDirectory();
  readonly #command: string;
  readonly #environment: Settings;

  private constructor(command: string, settings: Settings) {
    this.#command = command;
    const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
    const home = this.#directory.path;
    this.#environment = { PATH: path, HOME: home, PM2_HOME: join(home, "pm2"), ...settings };
  }

  /** @param settings what is in the environment of every command, and so of what it starts. */
  static async install(settings: Settings): Promise<Pm2> {
    return new Pm2(join(await npmPackages("pm2@7.0.4"), "pm2"), settings);
  }

  /** Runs `pm2 …`; resolves with what it wrote. @throws Error where it fails. */
  async run(...args: string[]): Promise<string> {
    // To a file: its daemon inherits what it writes to, and would hold a pipe open.
    const file = join(this.#directory.path, `${crypto.randomUUID()}.out`);
    writeFileSync(file, "");
    const child = Bun.spawn(["node", this.#command, ...args], {
      env: { ...this.#environment },
      stdin: "ignore",
      stdout: Bun.file(file),
      stderr: "ignore",
    });
    const code = await child.exited;
    const said = readFileSync(file, "utf8");
    if (code !== 0) throw new Error(`pm2 ${args[0]} failed:\n${said.slice(-2_000)}`);
    return said;
  }

  /** The process of an application; 0 where it does not run. */
  async pid(name: string): Promise<number> {
    return Number(await this.run("pid", name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run("kill");
    this.#directory[Symbol.dispose]();
  }
}
