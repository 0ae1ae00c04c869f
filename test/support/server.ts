import { join } from "node:path";
import { createHeadgate, type Headgate } from "../../src/headgate.ts";
import { until } from "./feed.ts";

/** Settings as the environment has them. */
export type Settings = Readonly<Record<string, string>>;

/** `bun src/app.ts` as a process of its own. Killed, and its directory removed, by `await using`. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<number>;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
}

const APP = join(import.meta.dir, "../../src/app.ts");

/** Quiet, on a free port, in memory: what most tests want. */
const DEFAULTS: Settings = { PORT: "0", DATA_DIR: ":memory:", LOG_LEVEL: "info" };

/** Starts the process, and does not wait: for starts that fail. `prefix` is a command that runs it. */
export function spawnServer(
  settings: Settings = {},
  prefix: readonly string[] = [],
): Omit<ServerProcess, "url" | "port"> {
  const process_ = Bun.spawn([...prefix, process.execPath, APP], {
    // Nothing of this process's own environment: a setting there would change what is tested.
    env: { PATH: process.env["PATH"] ?? "", ...DEFAULTS, ...settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stdout = collect(process_.stdout);
  const stderr = collect(process_.stderr);
  return {
    pid: process_.pid,
    exited: Promise.all([process_.exited, stdout.done, stderr.done]).then(([code]) => code),
    stdout: stdout.text,
    stderr: stderr.text,
    kill: (signal) => process_.kill(signal),
    async [Symbol.asyncDispose]() {
      process_.kill("SIGKILL");
      await process_.exited;
    },
  };
}

/** Starts the process, and waits until it is ready. */
export async function startServer(...args: Parameters<typeof spawnServer>): Promise<ServerProcess> {
  const server = spawnServer(...args);
  let hasExited = false;
  void server.exited.then(() => (hasExited = true));
  const address = (): RegExpExecArray | null =>
    /curl -N (https?:\/\/[^/]+:(\d+))\/events/.exec(server.stderr());
  const describe = (): string => `${server.stderr()}\n${server.stdout()}`;
  await until(() => hasExited || address() !== null, { describe });
  const [, url = "", port = ""] = address() ?? [];
  if (hasExited) throw new Error(`The server did not start: ${describe()}`);
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, { describe });
  return { ...server, url, port: Number(port) };
}

/** A server in this process. */
export interface LocalServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly headgate: Headgate;
}

/** The same server without a process: quicker to start, and records of any shape can be published. */
export async function startLocalServer(settings: Settings = {}): Promise<LocalServer> {
  const defaults = { ...DEFAULTS, SHUTDOWN_GRACE: "0", LOG_LEVEL: "silent" };
  const headgate = createHeadgate({ environment: { ...defaults, ...settings } });
  await headgate.start();
  await headgate.ready;
  return {
    url: headgate.url,
    port: Number(new URL(headgate.url).port),
    headgate,
    [Symbol.asyncDispose]: () => headgate.stop(),
  };
}

/** One event, or several, to `POST /events`. */
export function publish(url: string, body: unknown, headers: Settings = {}): Promise<Response> {
  return fetch(`${url}/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** The value of a metric, labels included in its name as Prometheus writes them; 0 where it is not there. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

function collect(stream: ReadableStream<Uint8Array>): { text: () => string; done: Promise<void> } {
  let text = "";
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  };
  return { text: () => text, done: read() };
}

/** How far every partition is stored, as text: the same again where nothing has been stored since. */
export async function storedUpTo(url: string): Promise<string> {
  const { consumer } = (await (await fetch(`${url}/kafka/status`)).json()) as {
    consumer: { partitions: unknown };
  };
  return JSON.stringify(consumer.partitions);
}
