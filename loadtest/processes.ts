import { join } from "node:path";
import { freePort } from "../test/support/kafka-node.ts";
import { kebab } from "./options.ts";
import { PublisherResult } from "./publisher.ts";
import { runSubscribers } from "./programs.ts";
import type { SubscriberOptions, SubscribersResult } from "./programs.ts";
import { cpuSecondsOf, othersCpuSeconds } from "./usage.ts";

/** A running Headgate. */
export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** A running publisher. */
export interface Publisher {
  /** Ends it early; resolves to its counts. */
  stop(): Promise<PublisherResult>;
}

/** What a server process and its subscribers did in one measured window. */
export interface Measurement {
  readonly subscribers: SubscribersResult;
  /** User and system time of the server process, in the window only. */
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

/** Starts Headgate on a free port of 127.0.0.1 with these variables and no others; resolves when it is ready. */
export async function startServer(variables: Record<string, string>): Promise<Server> {
  const port = await freePort();
  const child = Bun.spawn([process.execPath, "src/app.ts"], {
    cwd: ROOT,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOST: "127.0.0.1",
      PORT: String(port),
      LOG_LEVEL: "warn",
      SHUTDOWN_GRACE: "100",
      ...variables,
    },
    stdin: "ignore",
    // Its log goes to our stderr: stdout is for results.
    stdout: 2,
    stderr: "inherit",
  });
  const server: Server = {
    pid: child.pid,
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      const killer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
      await child.exited;
      clearTimeout(killer);
    },
  };
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}`);
    if (Date.now() > deadline) {
      await server[Symbol.asyncDispose]();
      throw new Error(`The server was not ready after ${START_DEADLINE_MS} ms`);
    }
    await Bun.sleep(50);
  }
  return server;
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

/** Runs the subscribers program, and takes the CPU time of the process `pid` over exactly its window. */
export async function measure(
  { pid, port }: { pid: number; port: number },
  options: SubscriberOptions,
  { onOpen, onMeasured }: MeasurementHooks = {},
): Promise<Measurement> {
  const read = (): Reading => ({ server: cpuSecondsOf(pid), others: othersCpuSeconds() });
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
