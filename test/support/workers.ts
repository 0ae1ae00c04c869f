import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { until } from "./feed.ts";
import { RawPeer } from "./peers.ts";
import { type ServerProcess, type Settings, startServer } from "./server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { socketInode } from "./socket-inode.ts";

/** A server with several workers, and a DATA_DIR of its own where the settings name none. */
export interface WorkersServer extends ServerProcess {
  /** The processes that serve, as they are now. */
  workers(): number[];
}

/** Two workers, unless the settings say otherwise. All processes are gone at the end of `await using`. */
export async function startWorkers(
  settings: Settings = {},
  prefix: readonly string[] = [],
): Promise<WorkersServer> {
  const directory = temporaryDirectory();
  const all = { WORKERS: "2", DATA_DIR: directory.path, ...settings };
  const server = withWorkers(await startServer(all, prefix));
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

/** A server that has been started with several. */
export function withWorkers(server: ServerProcess): WorkersServer {
  /** Those of a process that has been killed are nobody's children any more. */
  const seen = new Set<number>();
  const workers = (): number[] => {
    const running = childrenOf(server.pid);
    for (const pid of running) seen.add(pid);
    return running;
  };
  return {
    ...server,
    workers,
    async [Symbol.asyncDispose]() {
      workers();
      await server[Symbol.asyncDispose]();
      // One that is stopped does not notice that it is alone.
      for (const pid of seen) if (isWorker(pid)) process.kill(pid, "SIGKILL");
      await until(() => ![...seen].some(isWorker));
    },
  };
}

/** The workers of a server that has two. */
export function twoOf(server: WorkersServer): readonly [number, number] {
  const [one, other, ...more] = server.workers();
  if (one !== undefined && other !== undefined && more.length === 0) return [one, other];
  throw new Error(`Not two workers: ${server.workers().join()}`);
}

/** Ends them all. */
export async function cutAll(streams: readonly AsyncDisposable[]): Promise<void> {
  await Promise.all(streams.map((stream) => stream[Symbol.asyncDispose]()));
}

/** The processes that a process has started, and that run. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" "))
      .filter((child) => child !== "")
      .map(Number)
      .filter(isRunning);
  } catch {
    // It has ended.
    return [];
  }
}

/** Whether there is such a process, and it has not ended: whoever is nobody's child any more may lie there still. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // proc(5): the state comes after the command's name, which may hold anything.
    return !["Z", "X"].includes(stat.charAt(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** Which of the processes serves each peer: the kernel deals connections out, and tells nobody. */
export function servedBy(
  peers: readonly { readonly socket: Socket }[],
  pids: readonly number[],
): (number | undefined)[] {
  const owners = new Map(
    pids.flatMap((pid) => socketsOf(pid).map((inode): [number, number] => [inode, pid])),
  );
  return peers.map(({ socket: { localPort = 0, remotePort = 0 } }) =>
    owners.get(socketInode(remotePort, localPort)),
  );
}

/**
 * A connection that this worker has accepted: it is tried until the kernel deals one to it. The first
 * letter of the request has been sent: the kernel hands over nobody who has sent nothing.
 */
async function connectTo(server: WorkersServer, pid: number, first: "G" | "P"): Promise<RawPeer> {
  const endMs = performance.now() + CONNECT_MS;
  while (performance.now() < endMs) {
    const peer = await RawPeer.send(server.port, first);
    if ((await firstServer(peer, server.workers())) === pid) return peer;
    // By a reset, which leaves nothing behind: thousands in TIME_WAIT slow all of this down.
    peer.socket.resetAndDestroy();
  }
  throw new Error(`No connection was dealt to ${pid}`);
}

/** A stream that this worker serves. */
export async function subscribeTo(
  server: WorkersServer,
  pid: number,
  target = "/events",
  headers = "",
): Promise<RawPeer> {
  const peer = await connectTo(server, pid, "G");
  peer.socket.write(`ET ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  await peer.answered();
  return peer;
}

/** What a worker answers. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Question {
  readonly headers?: Settings;
  /** Posted as JSON. */
  readonly body?: unknown;
}

/** Asks this worker. */
export async function askWorker(
  server: WorkersServer,
  pid: number,
  target: string,
  question: Question = {},
): Promise<Answer> {
  const ask = await prepareQuestion(server, pid, target, question);
  return ask();
}

/** The same in two steps: once it is connected, nothing but the worker's answer takes time. */
export async function prepareQuestion(
  server: WorkersServer,
  pid: number,
  target: string,
  { headers = {}, body }: Question = {},
): Promise<() => Promise<Answer>> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const all: Settings = {
    Host: "localhost",
    Connection: "close",
    ...(body !== undefined && {
      "Content-Type": "application/json",
      "Content-Length": String(Buffer.byteLength(text)),
    }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const method = body === undefined ? "GET" : "POST";
  const peer = await connectTo(server, pid, body === undefined ? "G" : "P");
  return async () => {
    await using asked = peer;
    asked.socket.write(`${method.slice(1)} ${target} HTTP/1.1\r\n${lines.join("")}\r\n${text}`);
    await asked.stream.ended();
    return { status: asked.status, text: asked.body };
  };
}

/** Whether somebody accepts connections there. */
export function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(port, "127.0.0.1");
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** Whether this is a worker of ours still, and no other process that has got its number. */
function isWorker(pid: number): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return isRunning(pid) && command.includes("serving/worker.ts");
  } catch {
    return false;
  }
}

/** One that has just been started does not listen yet. */
const CONNECT_MS = 10_000;

/** How long a worker may take to accept a connection; one that is stopped never does. */
const ACCEPT_MS = 300;

async function firstServer(peer: RawPeer, pids: readonly number[]): Promise<number | undefined> {
  const endMs = performance.now() + ACCEPT_MS;
  while (performance.now() < endMs) {
    const [server] = servedBy([peer], pids);
    if (server !== undefined) return server;
    await Bun.sleep(1);
  }
  return undefined;
}

function socketsOf(pid: number): number[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).flatMap((fd) => {
      try {
        const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${directory}/${fd}`)) ?? [];
        return inode === undefined ? [] : Number(inode);
      } catch {
        // It is closed by now.
        return [];
      }
    });
  } catch {
    // The process has ended.
    return [];
  }
}
