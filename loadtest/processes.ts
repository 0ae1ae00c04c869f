import { join } from "node:path";
import { freePort } from "../test/support/kafka-node.ts";
import { kebab } from "./options.ts";
import { PublisherResult } from "./publisher.ts";
import { runSubscribers } from "./programs.ts";
import type { SubscriberOptions, SubscribersResult } from "./programs.ts";
import { familyCpuSecondsOf, familyOf, othersCpuSeconds } from "./usage.ts";

/** A running Headgate. */
export interface Server extends AsyncDisposable {
  /** With WORKERS, of the process that started the others. */
  readonly pid: number;
  readonly port: number;
  /**
   * Ends it, with SIGTERM unless another signal is given; resolves when the process is gone. SIGKILL is
   * for all its processes, as the first one cannot pass it on.
   */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A running publisher. */
export interface Publisher {
  /** Ends it early; resolves to its counts. */
  stop(): Promise<PublisherResult>;
}

/** What a server process and its subscribers did in one measured window. */
export interface Measurement {
  readonly subscribers: SubscribersResult;
  /** User and system time of the server, all its processes, in the window only. */
  readonly serverCpuSeconds: number;
  /** Cores that the machine gave to work that is no part of the measurement. */
  readonly othersCores: number;
}

/** Runs around the window of a measurement. */
export interface MeasurementHooks {
  /** All streams are open. */
  onOpen?: () => void;
  /** The window is over; the streams are read on for the drain. */
  onMeasured?: () => void;
}

const ROOT = join(import.meta.dir, "..");
const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 5_000;

/**
 * Starts Headgate on 127.0.0.1 with these variables and no others; resolves when it is ready. Without
 * PORT it gets a free one: to start a server again, give the port it had, and its DATA_DIR.
 */
export async function startServer(variables: Record<string, string>): Promise<Server> {
  const server = spawnServer({ PORT: String(await freePort()), ...variables });
  try {
    await untilReady(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/**
 * A free port that no outgoing connection is given by the kernel: one that can be had again, however many
 * clients try to reach it while the server is away.
 */
export async function lastingPort(): Promise<number> {
  const range = await Bun.file("/proc/sys/net/ipv4/ip_local_port_range").text();
  const room = Math.max(0, Number(range.trim().split(/\s+/)[0]) - LEAST_PORT);
  for (let tries = 0; tries < MAX_PORT_TRIES; tries += 1) {
    const port = LEAST_PORT + Math.floor(Math.random() * room);
    if (isFree(port)) return port;
  }
  throw new Error(
    `None of ${room} ports from ${LEAST_PORT} on is free (net.ipv4.ip_local_port_range)`,
  );
}

const LEAST_PORT = 10_240;
const MAX_PORT_TRIES = 100;

/** A server that has just been started, and may not listen yet. */
export interface StartingServer extends Server {
  /** Its exit code, or the signal that ended it; null while it runs. */
  readonly ended: () => number | NodeJS.Signals | null;
}

/** Starts Headgate as `startServer` does, on the port that is given, and does not wait. */
export function spawnServer(variables: Record<string, string> & { PORT: string }): StartingServer {
  const child = Bun.spawn([process.execPath, "src/app.ts"], {
    cwd: ROOT,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOST: "127.0.0.1",
      LOG_LEVEL: "warn",
      SHUTDOWN_GRACE: "100",
      ...variables,
    },
    stdin: "ignore",
    // Its log goes to our stderr: stdout is for results.
    stdout: 2,
    stderr: "inherit",
  });
  const ended = (): number | NodeJS.Signals | null => child.exitCode ?? child.signalCode;
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (ended() !== null) return;
    if (signal === "SIGKILL") killFamily(child.pid);
    else child.kill(signal);
    const killer = setTimeout(() => killFamily(child.pid), STOP_DEADLINE_MS);
    await child.exited;
    clearTimeout(killer);
  };
  return {
    pid: child.pid,
    port: Number(variables.PORT),
    ended,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Resolves when the server answers that it is ready; throws where it ends before, or takes too long. */
export async function untilReady({ port, ended }: StartingServer): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isReady(port))) {
    if (ended() !== null) throw new Error(`The server ended with ${ended()}`);
    if (Date.now() > deadline) {
      throw new Error(`The server was not ready after ${START_DEADLINE_MS} ms`);
    }
    await Bun.sleep(50);
  }
}

/** Starts `publisher.ts` with these arguments: `{ paceMs: 5 }` is `--pace-ms 5`. */
export function startPublisher(options: Record<string, string | number>): Publisher {
  const words = Object.entries(options).flatMap(([name, value]) => [
    `--${kebab(name)}`,
    String(value),
  ]);
  const command = [process.execPath, join(import.meta.dir, "publisher.ts"), ...words];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const output = new Response(child.stdout).text();
  return {
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      return PublisherResult.parse(JSON.parse(await output));
    },
  };
}

/** Runs the subscribers program, and takes the CPU time of `pid` and its family over exactly its window. */
export async function measure(
  { pid, port }: { pid: number; port: number },
  options: SubscriberOptions,
  { onOpen, onMeasured }: MeasurementHooks = {},
): Promise<Measurement> {
  const read = (): Reading => ({ server: familyCpuSecondsOf(pid), others: othersCpuSeconds() });
  let before: Reading = { server: 0, others: 0 };
  let after = before;
  const subscribers = await runSubscribers(port, options, (phase) => {
    if (phase === "warmup") onOpen?.();
    if (phase === "measure") before = read();
    if (phase === "drain") {
      after = read();
      onMeasured?.();
    }
  });
  return {
    subscribers,
    serverCpuSeconds: after.server - before.server,
    othersCores: (after.others - before.others) / subscribers.measured.seconds,
  };
}

interface Reading {
  server: number;
  others: number;
}

function isFree(port: number): boolean {
  try {
    const socket = { data: () => {} };
    Bun.listen({ hostname: "127.0.0.1", port, socket }).stop(true);
    return true;
  } catch {
    return false;
  }
}

function killFamily(pid: number): void {
  for (const member of familyOf(pid)) {
    try {
      process.kill(member, "SIGKILL");
    } catch (error) {
      // It ended by itself after it was listed.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    // Not listening yet.
    return false;
  }
}
