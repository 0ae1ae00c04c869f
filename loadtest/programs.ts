import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { kebab } from "./options.ts";

/** What the subscribers program does; see the head of `subscribers.c`. Absent ones have its defaults. */
export interface SubscriberOptions {
  connections: number;
  /** Absent: as few as can hold the connections. */
  processes?: number;
  /** Length of the measured window. */
  seconds: number;
  path?: string;
  ramp?: number;
  warmup?: number;
  drain?: number;
  maxEvents?: number;
  sample?: number;
  sources?: number;
  /** 0 or 1, as is `return`. */
  gzip?: number;
  receiveBuffer?: number;
  stallPercent?: number;
  reconnectEvery?: number;
  reconnectPercent?: number;
  stormAt?: number;
  stormSpread?: number;
  return?: number;
  retryEvery?: number;
}

/** A running subscribers program. */
export interface RunningSubscribers {
  readonly pid: number;
  /** Its counts, once it has ended; rejects where it fails. */
  readonly result: Promise<SubscribersResult>;
  /** Cuts all streams, which then come back. */
  storm(): void;
  /** Ends it before its time; `result` has what was counted until then. */
  stop(): void;
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

/** Where the subscribers program is; told once a second and when a phase begins. */
export type Progress = z.infer<typeof Progress>;

/** The phases of the subscribers program, in order. */
export type Phase = Progress["phase"];

/** The subscribers program's counts; times are in microseconds, bytes as on the wire. */
export type SubscribersResult = z.infer<typeof Result>;

const Progress = z.object({
  phase: z.enum(["ramp", "warmup", "measure", "drain", "finished"]),
  seconds: z.number(),
  ok: z.number(),
  failed: z.number(),
  lost: z.number(),
  away: z.number(),
  /** Of sampled streams, as are all below but `bytes`. */
  events: z.number(),
  bytes: z.number(),
  gaps: z.number(),
  repeats: z.number(),
  p50Us: z.number(),
  p99Us: z.number(),
});

const Quantiles = z.object({
  count: z.number(),
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
});

const Result = z.object({
  connections: z.number(),
  processes: z.number(),
  ok: z.number(),
  failed: z.number(),
  broken: z.number(),
  /** Answers that were no gzip, or ended without the right trailer. */
  gzipErrors: z.number(),
  closedByServer: z.number(),
  closeEvents: z.number(),
  stalled: z.number(),
  stalledCut: z.number(),
  reconnects: z.number(),
  /** Streams that were cut, or taken by the server, and were to come back. */
  lost: z.number(),
  /** Of those: they have had an event again. */
  returned: z.number(),
  /** Of those: at the end they had no event `live` yet. */
  away: z.number(),
  /** When the last of them was live again, in microseconds since 1970; 0 where none was. */
  lastBackAtUs: z.number(),
  openAtEnd: z.number(),
  sampled: z.number(),
  events: z.number(),
  otherEvents: z.number(),
  resets: z.number(),
  bytes: z.number(),
  /** Of sampled streams, before gzip; 0 where there is none. */
  inflatedBytes: z.number(),
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
    inflatedBytes: z.number(),
    /** Over all streams, from their bytes. */
    deliveries: z.number(),
    cpuSeconds: z.number(),
  }),
  latencyUs: Quantiles,
  firstByteUs: Quantiles,
  firstEventUs: Quantiles,
  /** From the loss of a stream to its event `live`. */
  backUs: Quantiles,
  cpuSeconds: z.number(),
});

const Listening = z.object({ port: z.number() });

const BIN = join(import.meta.dir, "bin");

/** As in `process.h`. */
const MAX_STREAMS_PER_PROCESS = 18_999;

/** Whether the C programs can be built. With CI set it throws instead of saying no: nothing is skipped there. */
export function canBuildPrograms(): boolean {
  const found = process.platform === "linux" && Bun.which("cc") !== null && hasZlib();
  if (!found && process.env["CI"] !== undefined) {
    throw new Error("The load programs need Linux, a C compiler named cc, and zlib.h");
  }
  return found;
}

/** Compiles both C programs into `loadtest/bin`. */
export async function buildPrograms(): Promise<void> {
  await mkdir(BIN, { recursive: true });
  await Promise.all([compile("floor"), compile("subscribers", ["-lz"])]);
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
export function runSubscribers(
  port: number,
  options: SubscriberOptions,
  onPhase: (phase: Phase) => void = () => {},
): Promise<SubscribersResult> {
  let last: Phase = "ramp";
  const running = startSubscribers(`127.0.0.1:${port}`, options, ({ phase }) => {
    if (phase !== last) onPhase(phase);
    last = phase;
  });
  return running.result;
}

/** Starts the subscribers program against an address; it says where it is once a second. */
export function startSubscribers(
  target: string,
  options: SubscriberOptions,
  onProgress: (progress: Progress) => void = () => {},
): RunningSubscribers {
  const processes = Math.ceil(options.connections / MAX_STREAMS_PER_PROCESS);
  const words = ["--target", target, ...argumentsOf({ processes, ...options })];
  const child = Bun.spawn([join(BIN, "subscribers"), ...words], { stdout: "pipe", stderr: "pipe" });
  const output = new Response(child.stdout).text();
  const finish = async (): Promise<SubscribersResult> => {
    await followProgress(child.stderr, onProgress);
    const code = await child.exited;
    if (code !== 0) throw new Error(`The subscribers program ended with ${code}`);
    return Result.parse(JSON.parse(await output));
  };
  return {
    pid: child.pid,
    result: finish(),
    storm: () => child.kill("SIGUSR1"),
    stop: () => child.kill("SIGTERM"),
  };
}

function hasZlib(): boolean {
  const stdin = Buffer.from("#include <zlib.h>\n");
  return Bun.spawnSync(["cc", "-E", "-"], { stdin, stdout: "ignore", stderr: "ignore" }).success;
}

async function compile(name: string, libraries: readonly string[] = []): Promise<void> {
  const source = join(import.meta.dir, `${name}.c`);
  // Written beside it and moved: a test and a load run may build at the same time.
  const fresh = join(BIN, `${name}.${process.pid}`);
  const command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", fresh, source, ...libraries];
  const build = Bun.spawn(command, { stderr: "inherit" });
  if ((await build.exited) !== 0) throw new Error(`${name}.c does not compile`);
  await Bun.spawn(["mv", fresh, join(BIN, name)]).exited;
}

/** `{ reconnectEvery: 5 }` becomes `--reconnect-every 5`. */
function argumentsOf(options: object): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${kebab(name)}`, String(value)]);
}

async function followProgress(
  lines: ReadableStream<Uint8Array>,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of lines) {
    const whole = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) {
      // What is not JSON is a complaint of the program: shown as it is.
      if (line.startsWith("{")) onProgress(Progress.parse(JSON.parse(line)));
      else process.stderr.write(`${line}\n`);
    }
  }
}
