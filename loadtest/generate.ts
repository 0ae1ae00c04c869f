import { kebab, readOptions } from "./options.ts";
import { buildPrograms, startSubscribers } from "./programs.ts";
import type { Progress, SubscriberOptions, SubscribersResult } from "./programs.ts";
import { formatUs, printTable, saveResult } from "./report.ts";

/**
 * Holds many event streams on a server of this machine, and says what came over them: how many could
 * be opened, how soon, how late events are, and whether any is missing or came again.
 *
 *   bun loadtest/generate.ts --target http://127.0.0.1:3000 [--connections 1000] [--seconds 10]
 *
 * and the options of the subscribers program, which the head of `subscribers.c` explains: `--processes
 * --path --ramp --warmup --drain --sample --sources --gzip --receive-buffer --stall-percent
 * --reconnect-every --reconnect-percent --storm-at --storm-spread --return --retry-every --max-events`.
 * Delays, gaps and repeats are of events as `publisher.ts` makes them. Ctrl-C ends it, with a result.
 */
async function main(): Promise<void> {
  const { numbers, texts } = readOptions(
    {
      connections: { absent: 1_000, least: 1, most: 200_000 },
      seconds: { absent: 10, least: 0.1, most: 600 },
    },
    ["target", "path", ...PASSED_ON.map(kebab)],
  );
  const { target, path } = parseTarget(texts["target"] ?? "");
  const given = PASSED_ON.map((name) => [name, texts[kebab(name)]] as const);
  const passedOn = given.filter(([, text]) => text !== undefined);
  const result = await generate(
    target,
    {
      ...numbers,
      path: texts["path"] ?? path,
      // What is no number, or not in its range, the program itself refuses.
      ...Object.fromEntries(passedOn.map(([name, text]) => [name, Number(text)])),
    },
    showProgress,
  );
  endProgress();
  printTable(tableOf(result));
  if (result.events === 0) console.log(`\nNo numbered events came: ${HOW_TO_PUBLISH}`);
  await saveResult("generate", { target, options: { ...numbers, ...texts }, result });
}

type NumberName = Exclude<keyof SubscriberOptions, "connections" | "seconds" | "path">;

const PASSED_ON: readonly NumberName[] = [
  "processes",
  "ramp",
  "warmup",
  "drain",
  "maxEvents",
  "sample",
  "sources",
  "gzip",
  "receiveBuffer",
  "stallPercent",
  "reconnectEvery",
  "reconnectPercent",
  "stormAt",
  "stormSpread",
  "return",
  "retryEvery",
];

const HOW_TO_PUBLISH = "`bun loadtest/publisher.ts --target …` makes some that can be measured.";

/** Builds the program and runs it to its end, or until SIGINT, which ends it with what was counted until then. */
export async function generate(
  target: string,
  options: SubscriberOptions,
  onProgress?: (progress: Progress) => void,
): Promise<SubscribersResult> {
  await buildPrograms();
  const running = startSubscribers(target, options, onProgress);
  const stop = (): void => running.stop();
  process.once("SIGINT", stop);
  try {
    return await running.result;
  } finally {
    process.off("SIGINT", stop);
  }
}

/**
 * `http://127.0.0.1:3000/events?types=a`, or `127.0.0.1:3000`, as address and path. Throws on what is not
 * on loopback: this must never load somebody else's machine.
 */
export function parseTarget(text: string): { target: string; path: string } {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  const host = url?.hostname === "localhost" ? "127.0.0.1" : url?.hostname;
  if (url?.protocol !== "http:" || host === undefined || !/^127\.\d+\.\d+\.\d+$/.test(host)) {
    const wanted = "as in --target http://127.0.0.1:3000";
    throw new Error(`${JSON.stringify(text)} is no http address in 127.0.0.0/8, ${wanted}`);
  }
  const path = url.pathname === "/" ? "/events" : url.pathname;
  return { target: `${host}:${url.port || "80"}`, path: `${path}${url.search}` };
}

/** One line that is written anew on a terminal; a line each elsewhere. */
function showProgress(progress: Progress): void {
  const { phase, seconds, ok, failed, away, events, gaps, repeats, p50Us, p99Us } = progress;
  const parts = [
    `${phase.padEnd(8)} ${seconds.toFixed(0)} s`,
    `${ok} opened`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(away > 0 ? [`${away} away`] : []),
    `${events} events`,
    ...(p99Us > 0 ? [`delay p50 ${formatUs(p50Us)}, p99 ${formatUs(p99Us)}`] : []),
    ...(gaps + repeats > 0 ? [`${gaps} gaps, ${repeats} repeats`] : []),
  ];
  const line = parts.join("  ");
  process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}

function endProgress(): void {
  process.stdout.write(process.stdout.isTTY ? "\r\x1b[K" : "\n");
}

function tableOf(result: SubscribersResult): string[][] {
  const { connections, ok, failed, measured, lost, gaps, repeats } = result;
  const perSecond = (count: number): string => (count / measured.seconds).toFixed(0);
  const megabytes = measured.bytes / measured.seconds / 1e6;
  return [
    ["streams opened", `${ok} of ${connections} (${((ok / connections) * 100).toFixed(2)}%)`],
    ["failed", String(failed)],
    ["ended by the server", String(result.closedByServer)],
    ...(result.stalled > 0 ? [["stalled / cut", `${result.stalled} / ${result.stalledCut}`]] : []),
    quantilesRow("first byte", result.firstByteUs),
    quantilesRow("first event", result.firstEventUs),
    ["deliveries/s", perSecond(measured.deliveries)],
    ["MB/s", megabytes.toFixed(2)],
    ...gzipRows(result),
    quantilesRow("delay", result.latencyUs),
    ["gaps", String(gaps)],
    ["repeats", String(repeats)],
    ["resets", String(result.resets)],
    ...(lost > 0
      ? [
          ["lost / returned / still away", `${lost} / ${result.returned} / ${result.away}`],
          quantilesRow("from the loss until live", result.backUs),
        ]
      : []),
    ["cores of the generator", (measured.cpuSeconds / measured.seconds).toFixed(2)],
    ["its processes", String(result.processes)],
  ];
}

function gzipRows({ measured, gzipErrors }: SubscribersResult): string[][] {
  if (measured.inflatedBytes === 0 && gzipErrors === 0) return [];
  const ratio = measured.inflatedBytes / measured.sampledBytes;
  return [
    ["gzip makes it smaller", `${ratio.toFixed(1)} times`],
    ["gzip errors", String(gzipErrors)],
  ];
}

function quantilesRow(name: string, { p50, p95, p99, max }: SubscribersResult["backUs"]): string[] {
  return [
    `${name} p50 / p95 / p99 / max`,
    [p50, p95, p99, max].map((us) => formatUs(us)).join(" / "),
  ];
}

if (import.meta.main) await main();
