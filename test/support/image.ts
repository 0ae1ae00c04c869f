import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseDockerfile, readDockerignore, type Stage } from "./dockerfile.ts";
import { isQuick } from "./effort.ts";
import { until } from "./feed.ts";

/** What a Dockerfile makes, as far as it can be had without an engine: a tree of files, and how it is run. */
export interface Image {
  /** What becomes `/`; this machine's own programs and libraries stand in for those of the base image. */
  readonly root: string;
  readonly workdir: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly healthcheck: readonly string[];
  readonly volumes: readonly string[];
}

/** Where this machine's Bun is in the image. */
const BUN = "/opt/bun/bun";
const PATH = `${dirname(BUN)}:/usr/local/bin:/usr/bin:/bin`;

/** Read-only, from this machine. */
const SYSTEM = ["usr", "bin", "lib", "lib64"];
const DEVICES = ["null", "zero", "urandom"];

/** Whether an image can be run. With CI set it throws instead of saying no: nothing is skipped there. */
export function canRunImages(): boolean {
  if (isQuick) return false;
  const trial = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"];
  const isRoot = process.platform === "linux" && process.getuid?.() === 0;
  const isAble = isRoot && Bun.spawnSync(trial).success;
  if (!isAble && process.env["CI"] !== undefined) {
    throw new Error("Tests of the image need Linux, root, and the right to unshare namespaces");
  }
  return isAble;
}

/** Carries out the Dockerfile of a context, instruction by instruction; one that it does not know is an error. */
export async function buildImage(context: string, directory: string): Promise<Image> {
  const isSent = readDockerignore(context);
  const built = new Map<string, string>();
  let image: Image | undefined;
  for (const stage of parseDockerfile(readFileSync(join(context, "Dockerfile"), "utf8"))) {
    const root = join(directory, stage.name);
    makeRoot(root);
    image = await buildStage(stage, { root, context, isSent, built });
    built.set(stage.name, root);
  }
  if (!image) throw new Error("The Dockerfile has no stage");
  return image;
}

interface Building {
  readonly root: string;
  readonly context: string;
  readonly isSent: (path: string) => boolean;
  /** The roots of the stages before this one, by name. */
  readonly built: ReadonlyMap<string, string>;
}

async function buildStage({ instructions }: Stage, building: Building): Promise<Image> {
  const { root } = building;
  const environment: Record<string, string> = {};
  const image = { root, environment, workdir: "/", user: "0:0", volumes: [] as string[] };
  let [entrypoint, healthcheck]: string[][] = [[], []];
  for (const { name, text } of instructions) {
    if (name === "WORKDIR") mkdirSync(join(root, (image.workdir = text)), { recursive: true });
    else if (name === "ENV") Object.assign(environment, readPairs(text));
    else if (name === "COPY") copy(text, image.workdir, building);
    else if (name === "RUN") await runStep(image, text);
    else if (name === "USER") image.user = text;
    else if (name === "VOLUME") image.volumes.push(text);
    else if (name === "ENTRYPOINT") entrypoint = readCommand(text);
    else if (name === "HEALTHCHECK") healthcheck = readCommand(text.replace(/^.*?CMD\s+/, ""));
    else if (name !== "LABEL" && name !== "EXPOSE") throw new Error(`Unknown instruction ${name}`);
  }
  return { ...image, entrypoint: entrypoint ?? [], healthcheck: healthcheck ?? [] };
}

/** The exec form; the shell's form would keep signals from the server. */
function readCommand(text: string): string[] {
  // The cast holds: Docker takes nothing but strings in it.
  return JSON.parse(text) as string[];
}

function readPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)=(\S+)/g)].map(([, key, value]) => [key, value]),
  );
}

function copy(text: string, workdir: string, { root, context, isSent, built }: Building): void {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith("--from=") ? words.shift()?.slice("--from=".length) : undefined;
  const base = from === undefined ? context : (built.get(from) ?? "");
  const to = words.pop() ?? "";
  for (const source of words) {
    const path = join(base, source);
    const isIntoFolder = to.endsWith("/") && !lstatSync(path).isDirectory();
    const name = isIntoFolder ? join(to, basename(source)) : to;
    const filter = (each: string): boolean =>
      from !== undefined || isSent(each.slice(context.length + 1));
    cpSync(path, join(root, resolve(workdir, name)), { recursive: true, filter });
  }
}

/** What installs packages is run outside, where this machine's registry and cache are. */
async function runStep(
  image: Omit<Image, "entrypoint" | "healthcheck">,
  text: string,
): Promise<void> {
  const command = text.startsWith("bun install ")
    ? [process.execPath, ...text.split(/\s+/).slice(1)]
    : inRoot({ ...image, user: "0:0" }, { isReadOnly: false }, ["sh", "-ec", text]);
  const cwd = join(image.root, image.workdir);
  const child = Bun.spawn(command, { cwd, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`RUN ${text}\n${said}`);
}

function makeRoot(root: string): void {
  for (const name of ["proc", "dev", "etc", dirname(BUN)]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  chmodSync(root, 0o755);
  for (const file of [...DEVICES.map((name) => `dev/${name}`), BUN]) {
    writeFileSync(join(root, file), "");
  }
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\nbun:x:1000:1000::/:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nbun:x:1000:\n");
  writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  for (const name of SYSTEM.filter((each) => existsSync(`/${each}`))) {
    if (lstatSync(`/${name}`).isSymbolicLink()) {
      symlinkSync(readlinkSync(`/${name}`), join(root, name));
    } else {
      mkdirSync(join(root, name));
    }
  }
}

interface Mounts {
  readonly isReadOnly: boolean;
  /** Folders of this machine, by where they are in the image; they can be written. */
  readonly volumes?: Readonly<Record<string, string>>;
}

/**
 * The command that runs another one as the first process of a PID namespace, with the image as its
 * root, and no rights. The mounts are in a namespace of its own, and are gone with it.
 */
function inRoot(
  { root, user, workdir, environment }: Pick<Image, "root" | "user" | "workdir" | "environment">,
  { isReadOnly, volumes = {} }: Mounts,
  command: readonly string[],
): string[] {
  const bind = (from: string, to: string): string => `mount --bind '${from}' '${join(root, to)}'`;
  const lock = (path: string): string => `mount -o remount,bind,ro '${join(root, path)}'`;
  const folders = SYSTEM.filter((name) => !lstatSync(join(root, name)).isSymbolicLink());
  const mounts = [
    `mount --bind '${root}' '${root}'`,
    ...folders.flatMap((name) => [bind(`/${name}`, name), lock(name)]),
    ...DEVICES.map((name) => bind(`/dev/${name}`, `dev/${name}`)),
    bind(process.execPath, BUN),
    `mount -t proc proc '${root}/proc'`,
    ...Object.entries(volumes).map(([to, from]) => bind(from, to)),
    ...(isReadOnly ? [lock("/")] : []),
  ];
  const script = `${mounts.join(" && ")} && exec "$@"`;
  const space = ["unshare", "--mount", "--pid", "--fork", "--kill-child"];
  const asUser = asUserIn({ user, workdir, environment }, command);
  return [...space, "sh", "-c", script, "sh", "chroot", root, ...asUser];
}

/** What of Docker's `--cap-drop=ALL --security-opt=no-new-privileges` can be said to setpriv. */
function asUserIn(
  { user, workdir, environment }: Pick<Image, "user" | "workdir" | "environment">,
  command: readonly string[],
): string[] {
  const [uid, gid] = user.split(":");
  const isRoot = uid === "0";
  const rights = isRoot ? [] : ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"];
  const settings = Object.entries({ PATH, ...environment }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const asUser = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", ...rights];
  return [...asUser, "env", "-i", `--chdir=${workdir}`, ...settings, ...command];
}

/** How a container ended. */
interface Ending {
  readonly code: number;
  readonly said: string;
}

/** A running image: its root is read-only, and there is no /tmp. Killed by `await using`. */
export class Container implements AsyncDisposable {
  readonly #image: Image;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #collected: Promise<unknown>;
  #said = "";

  constructor(
    image: Image,
    volumes: Readonly<Record<string, string>>,
    settings: Image["environment"],
  ) {
    this.#image = { ...image, environment: { ...image.environment, ...settings } };
    const command = inRoot(this.#image, { isReadOnly: true, volumes }, image.entrypoint);
    this.#child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#collected = Promise.all([
      this.#collect(this.#child.stdout),
      this.#collect(this.#child.stderr),
    ]);
  }

  /** Its first process, as this machine numbers it; undefined while it is being made. */
  get pid(): number | undefined {
    const path = `/proc/${this.#child.pid}/task/${this.#child.pid}/children`;
    const [first = ""] = existsSync(path) ? readFileSync(path, "utf8").split(" ") : [];
    return first === "" ? undefined : Number(first);
  }

  /** As `docker exec` does. */
  async exec(command: readonly string[], settings: Image["environment"] = {}): Promise<number> {
    const { environment } = this.#image;
    const enter = ["nsenter", `--target=${this.pid}`, "--mount", "--pid", "--root"];
    const image = { ...this.#image, environment: { ...environment, ...settings } };
    const child = Bun.spawn([...enter, ...asUserIn(image, command)], { stderr: "ignore" });
    return child.exited;
  }

  healthcheck(settings?: Image["environment"]): Promise<number> {
    return this.exec(this.#image.healthcheck, settings);
  }

  /** Resolves when it answers that it is ready. */
  async ready(port: number): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if (this.#child.exitCode !== null) throw new Error(`It did not start: ${this.#said}`);
      const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      return response?.status === 200;
    };
    await until(isReady, { describe: () => this.#said });
  }

  /** As `docker stop` begins. */
  async terminate(): Promise<Ending> {
    if (this.pid !== undefined) process.kill(this.pid, "SIGTERM");
    return this.ended();
  }

  async ended(): Promise<Ending> {
    await this.#collected;
    return { code: await this.#child.exited, said: this.#said };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of stream) this.#said += decoder.decode(piece, { stream: true });
  }
}
