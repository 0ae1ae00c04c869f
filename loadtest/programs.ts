import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { kebab } from "./options.ts";

/** What the subscribers program does; see the head of `subscribers.c`. Absent ones have its defaults. */
export interface SubscriberOptions {
  connections: number;
  /** Length of the measured window. */
  seconds: number;
  path?: string;
  ramp?: number;
  warmup?: number;
  drain?: number;
  sample?: number;
  receiveBuffer?: number;
  stallPercent?: number;
  reconnectEvery?: number;
  reconnectPercent?: number;
}

/** What the floor program does; see the head of `floor.c`. */
export interface FloorOptions {
  rate: number;
  bytes: number;
  idBytes: number;
  paceMs: number;
  /** It ends by itself after that. */
  seconds: number;
}

/** A running floor program. */
export interface Floor extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** The phases of the subscribers program, in order. */
export type Phase = z.infer<typeof Progress>["phase"];

/** The subscribers program's counts; times are in microseconds, bytes as on the wire. */
export type SubscribersResult = z.infer<typeof Result>;

const Progress = z.object({
  phase: z.enum(["ramp", "warmup", "measure", "drain", "finished"]),
});

const Quantiles = z.object({
  count: z.number(),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  max: z.number(),
});

const Result = z.object({
  connections: z.number(),
  ok: z.number(),
  failed: z.number(),
  broken: z.number(),
  closedByServer: z.number(),
  closeEvents: z.number(),
  stalled: z.number(),
  stalledCut: z.number(),
  reconnects: z.number(),
  sampled: z.number(),
  events: z.number(),
  otherEvents: z.number(),
  resets: z.number(),
  bytes: z.number(),
  gaps: z.number(),
  repeats: z.number(),
  reordered: z.number(),
  streamsWithoutEvents: z.number(),
  lowestLast: z.number(),
  highestLast: z.number(),
  idBytes: z.number(),
  measured: z.object({
    seconds: z.number(),
    /** Of sampled streams, as are `writes` and `sampledBytes`. */
    events: z.number(),
    /** HTTP chunks: how often the server wrote. */
    writes: z.number(),
    bytes: z.number(),
    sampledBytes: z.number(),
    /** Over all streams, from their bytes. */
    deliveries: z.number(),
    cpuSeconds: z.number(),
  }),
  latencyUs: Quantiles,
  firstByteUs: Quantiles,
  firstEventUs: Quantiles,
  cpuSeconds: z.number(),
});

const Listening = z.object({ port: z.number() });

const BIN = join(import.meta.dir, "bin");

/** Whether the C programs can be built. With CI set it throws instead of saying no: nothing is skipped there. */
export function canBuildPrograms(): boolean {
  const found = Bun.which("cc") !== null && process.platform === "linux";
  if (!found && process.env["CI"] !== undefined) {
    throw new Error("The load programs need Linux and a C compiler named cc");
  }
  return found;
}

/** Compiles both C programs into `loadtest/bin`. */
export async function buildPrograms(): Promise<void> {
  await mkdir(BIN, { recursive: true });
  await Promise.all(["floor", "subscribers"].map((name) => compile(name)));
}

/** Starts the floor program on a free port. */
export async function startFloor(options: FloorOptions): Promise<Floor> {
  const child = Bun.spawn([join(BIN, "floor"), ...argumentsOf(options)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(`The floor program ended with ${await child.exited}`);
  const { port } = Listening.parse(JSON.parse(new TextDecoder().decode(value)));
  return {
    pid: child.pid,
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
  };
}

/**
 * Runs the subscribers program against a port of 127.0.0.1 until it is done, and calls `onPhase` when
 * each phase begins. It ends by itself: all its phases have a length.
 */
export async function runSubscribers(
  port: number,
  options: SubscriberOptions,
  onPhase: (phase: Phase) => void = () => {},
): Promise<SubscribersResult> {
  const words = ["--target", `127.0.0.1:${port}`, ...argumentsOf(options)];
  const child = Bun.spawn([join(BIN, "subscribers"), ...words], { stdout: "pipe", stderr: "pipe" });
  const output = new Response(child.stdout).text();
  await followPhases(child.stderr, onPhase);
  const code = await child.exited;
  if (code !== 0) throw new Error(`The subscribers program ended with ${code}`);
  return Result.parse(JSON.parse(await output));
}

async function compile(name: string): Promise<void> {
  const source = join(import.meta.dir, `${name}.c`);
  // Written beside it and moved: a test and a load run may build at the same time.
  const fresh = join(BIN, `${name}.${process.pid}`);
  const command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", fresh, source];
  const build = Bun.spawn(command, { stderr: "inherit" });
  if ((await build.exited) !== 0) throw new Error(`${name}.c does not compile`);
  await Bun.spawn(["mv", fresh, join(BIN, name)]).exited;
}

/** `{ reconnectEvery: 5 }` becomes `--reconnect-every 5`. */
function argumentsOf(options: object): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${kebab(name)}`, String(value)]);
}

async function followPhases(
  progress: ReadableStream<Uint8Array>,
  onPhase: (phase: Phase) => void,
): Promise<void> {
  let last: Phase = "ramp";
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of progress) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      // What is not JSON is a complaint of the program: shown as it is.
      if (!line.startsWith("{")) {
        process.stderr.write(`${line}\n`);
        continue;
      }
      const { phase } = Progress.parse(JSON.parse(line));
      if (phase !== last) onPhase(phase);
      last = phase;
    }
  }
}
