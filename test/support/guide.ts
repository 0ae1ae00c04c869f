import { expect } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { until } from "./feed.ts";
import { freePort } from "./kafka-node.ts";
import { type ServerProcess, startServer } from "./server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const ROOT = join(import.meta.dir, "../..");

/** What is to end by itself and does not is a fault of the page. */
const RUN_DEADLINE_MS = 30_000;

/** What is done with a block. */
const MARKS = ["server", "run", "stream", "output", "streamed"] as const;

/** A fenced block of a page: what stands after its three backquotes, and what is in it. */
export interface Block {
  readonly language: string;
  readonly mark: (typeof MARKS)[number] | undefined;
  readonly text: string;
  /** Of its first line of text, from 1 on. */
  readonly line: number;
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(/^```([^\n`]+)\n(.*?)^```$/gms)) {
    const [, info = "", text = ""] = match;
    const [language = "", ...words] = info.trim().split(/\s+/);
    const mark = MARKS.find((each) => words.includes(each));
    const line = markdown.slice(0, match.index).split("\n").length + 1;
    blocks.push({ language, mark, text, line });
  }
  return blocks;
}

/** What stands in a page in place of what this run has: brokers, topics that no other test uses. */
export type Replacements = Readonly<Record<string, string>>;

/**
 * Runs a page from its beginning, as somebody would who copies its blocks one after the other:
 *
 * - `sh server`: settings and `bun run start`, or the same with `npx`. The server is up when the next block runs.
 * - `ts server`: a program that is left running, with its server on the `port: …` that it names.
 * - `sh run`, `ts run`: runs to its end, with exit code 0. `output` after it is what it prints.
 * - `sh stream`: is left running. `streamed`, anywhere after it, is how what it prints begins.
 *
 * In outputs `…` stands for any text, and what differs each time (client ids, times, topics' tags,
 * `retry:`) may stand as an example. Ports from 3000 to 3999 are others in truth, and `./` is a
 * directory of its own, in which `headgate` and its packages can be imported.
 */
export async function runGuide(page: string, replacements: Replacements = {}): Promise<number> {
  await using run = new GuideRun(replacements);
  const blocks = blocksOf(readFileSync(resolve(ROOT, page), "utf8"));
  let count = 0;
  for (const block of blocks) {
    try {
      if (await run.take(block)) count += 1;
    } catch (error) {
      throw new Error(`${page}:${block.line} ${String(error)}`, { cause: error });
    }
  }
  return count;
}

class GuideRun implements AsyncDisposable {
  readonly #replacements: Replacements;
  readonly #directory = temporaryDirectory();
  /** By the port that the page names. */
  readonly #ports = new Map<string, number>();
  readonly #servers: ServerProcess[] = [];
  readonly #left: Left[] = [];
  #printed = "";
  #streamed: () => string = () => "";
  #files = 0;

  constructor(replacements: Replacements) {
    this.#replacements = replacements;
    for (const name of ["package.json", "tsconfig.json", "src", "node_modules"]) {
      symlinkSync(join(ROOT, name), join(this.#directory.path, name));
    }
  }

  /** Whether the block is one that is run or compared. */
  async take({ language, mark, text }: Block): Promise<boolean> {
    if (mark === undefined) return false;
    const real = await this.#realize(text);
    if (mark === "output") expectLike(this.#printed, real);
    else if (mark === "streamed") await this.#expectStreamed(real);
    else if (mark === "server" && language === "sh") await this.#serve(real);
    else {
      const command =
        language === "sh"
          ? ["bash", "-ec", real]
          : [process.execPath, this.#file(language, withSources(real))];
      if (mark === "run") await this.#run(command);
      else await this.#leave(command, mark === "server" ? portOf(real) : undefined);
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const left of this.#left) await left.end();
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }

  async #realize(text: string): Promise<string> {
    let real = text;
    for (const [written, meant] of Object.entries(this.#replacements)) {
      real = real.replaceAll(written, meant);
    }
    for (const [port] of real.matchAll(/\b3\d{3}\b/g)) {
      if (!this.#ports.has(port)) this.#ports.set(port, await freePort());
    }
    return real.replaceAll(/\b3\d{3}\b/g, (port) => String(this.#ports.get(port)));
  }

  /** `A=1 B='two words' bun run start`, over several lines too. */
  async #serve(text: string): Promise<void> {
    const command = text.replaceAll(/\\\n/g, " ").trim();
    const [settings = ""] = command.split(/(?:bun|npx --yes bun@[\d.]+) run start$/);
    if (settings === command) throw new Error(`Starts no server: ${command}`);
    const port = String(this.#ports.get("3000") ?? (await freePort()));
    this.#ports.set("3000", Number(port));
    const variables: Record<string, string> = {};
    for (const [, name = "", value = ""] of settings.matchAll(/(\w+)=('[^']*'|\S+)/g)) {
      const plain = value.replace(/^'(.*)'$/, "$1");
      variables[name] = plain.replace(/^\.\//, `${this.#directory.path}/`);
    }
    // An alias and the name must not disagree; an empty value is the same as none.
    const isAliased = variables["SSE_PORT"] !== undefined;
    variables["PORT"] ??= isAliased ? "" : port;
    // A page may start one on 3000 several times: the one before has done its part.
    for (const server of this.#servers.filter((one) => String(one.port) === variables["PORT"])) {
      await server[Symbol.asyncDispose]();
    }
    this.#servers.push(await startServer(variables));
  }

  async #run(command: string[]): Promise<void> {
    const pipes = { stdout: "pipe", stderr: "pipe", timeout: RUN_DEADLINE_MS } as const;
    const child = Bun.spawn(command, { ...this.#surroundings(), ...pipes });
    const [code, out, error] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    // Header lines end with CR LF.
    this.#printed = out.replaceAll("\r", "");
    if (code !== 0) throw new Error(`ended with ${child.signalCode ?? code}:\n${out}${error}`);
  }

  async #leave(command: string[], port: string | undefined): Promise<void> {
    const left = new Left(command, this.#surroundings());
    this.#left.push(left);
    if (port === undefined) this.#streamed = left.printed;
    // A stream is there when its first bytes are: what is published next must find it.
    const isThere = async (): Promise<boolean> =>
      port === undefined
        ? hasBegun(left.printed())
        : (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status === 200;
    await until(async () => left.hasEnded() || (await isThere()), { describe: left.printed });
    if (left.hasEnded()) throw new Error(`ended at once:\n${left.printed()}`);
  }

  async #expectStreamed(wanted: string): Promise<void> {
    const pattern = new RegExp(`^${patternOf(wanted)}`);
    await until(() => pattern.test(withoutChance(this.#streamed())), {
      describe: () => `printed:\n${this.#streamed()}\nwanted:\n${wanted}`,
    });
  }

  #file(language: string, text: string): string {
    this.#files += 1;
    const path = join(this.#directory.path, `example-${this.#files}.${language}`);
    writeFileSync(path, text);
    return path;
  }

  #surroundings(): { cwd: string; env: Record<string, string>; stdin: "ignore" } {
    const bun = join(process.execPath, "..");
    const env = { PATH: `${bun}:${process.env["PATH"] ?? ""}`, HOME: this.#directory.path };
    return { cwd: this.#directory.path, env, stdin: "ignore" };
  }
}

/** A process that is left running. */
class Left {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #printed = "";

  constructor(command: string[], surroundings: { cwd: string; env: Record<string, string> }) {
    const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
    this.#child = Bun.spawn(command, { ...surroundings, ...pipes });
    void this.#collect(this.#child.stdout);
  }

  readonly printed = (): string => this.#printed;
  readonly hasEnded = (): boolean => this.#child.exitCode !== null;

  async end(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#printed += decoder.decode(chunk, { stream: true });
  }
}

/** Of a stream as the server sends it: it is live. Of another program: it prints. */
function hasBegun(printed: string): boolean {
  if (!printed.startsWith("retry:")) return printed !== "";
  return /^event: (?:live|dashboard-update)$/m.test(printed);
}

/** What is in the package as it is built, from its sources. */
function withSources(program: string): string {
  return program.replaceAll('"headgate/client"', '"./src/client/client.ts"');
}

function portOf(program: string): string {
  const [, port] = /\bport: (\d+)/.exec(program) ?? [];
  if (port === undefined) throw new Error("Names no port");
  return port;
}

function expectLike(printed: string, wanted: string): void {
  // JSON may be shown over several lines.
  const isJson = /^\s*[{[]/.test(wanted);
  const shown = isJson ? wanted.replaceAll(/\s/g, "") : wanted.trim();
  const found = withoutChance(isJson ? printed.replaceAll(/\s/g, "") : printed.trim());
  if (!new RegExp(`^${patternOf(shown)}$`).test(found)) expect(found).toBe(shown);
}

/** Without what is another one each time. */
function withoutChance(text: string): string {
  return (
    text
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID")
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "TIME")
      .replaceAll(/^retry: \d+/gm, "retry: MS")
      // A topic's name stands before it, which is no tag, whatever the tag begins with.
      .replaceAll(/~[a-z0-9]{1,8}~(?=[\d.]+(?![a-z\d]))/g, "~TAG~")
  );
}

function patternOf(text: string): string {
  return withoutChance(text.trim())
    .split("…")
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("[^]*?");
}
