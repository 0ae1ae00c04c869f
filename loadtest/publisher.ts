import { constants, setPriority } from "node:os";
import { z } from "zod";
import { readOptions } from "./options.ts";
import { variedMembers } from "./payloads.ts";
import { openSink } from "./sinks.ts";
import type { MadeEvent, Sink } from "./sinks.ts";
import { spreadOver } from "./spread.ts";
import type { SpreadOptions } from "./spread.ts";

/**
 * Publishes numbered events at an even rate: every few milliseconds those that are due, in one request.
 *
 *   bun loadtest/publisher.ts --target http://127.0.0.1:3000 [--topic events]
 *   bun loadtest/publisher.ts --kafka 127.0.0.1:9092 --topic events
 *     [--rate 1000] [--bytes 100] [--seconds 10] [--pace-ms 5]
 *     [--keys 0 | --types 0 | --channels 0 | --users 0] [--partitions 0]
 *     [--varied 0|1]
 *
 * An event is `{"t":<microseconds since 1970>,"n":<number>,"p":"xxx…"}` with `--bytes` of x. Its time is
 * that of its tick, also where it is sent late: what a slow server makes wait counts as delay. With
 * `--keys 1000` events go round 1,000 keys, and are numbered within each: see `spread.ts`. With `--varied 1`
 * they have other members in the place of `p`, of some 250 bytes: see `payloads.ts`.
 */
async function main(): Promise<void> {
  const { numbers, texts } = readOptions(
    {
      rate: { absent: 1_000, least: 1, most: 200_000 },
      bytes: { absent: 100, least: 0, most: 250_000 },
      seconds: { absent: 10, least: 0.1, most: 900 },
      paceMs: { absent: 5, least: 1, most: 1_000 },
      keys: NAMES,
      types: NAMES,
      channels: NAMES,
      users: NAMES,
      partitions: NAMES,
      varied: { absent: 0, least: 0, most: 1 },
    },
    ["target", "kafka", "topic"],
  );
  preferThisProcess();
  await using sink = await openSink(texts);
  const stopping = new AbortController();
  process.once("SIGTERM", () => stopping.abort());
  const result = await publish(sink, numbers, stopping.signal);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const NAMES = { absent: 0, least: 0, most: 100_000 };

/** What a publisher did. `lateMs` is how long events waited here after they were due, `requestMs` a request's time. */
export const PublisherResult = z.object({
  published: z.number(),
  failed: z.number(),
  seconds: z.number(),
  ratePerSecond: z.number(),
  lateMs: z.object({ p50: z.number(), p99: z.number() }),
  requestMs: z.object({ p50: z.number(), p99: z.number() }),
  cpuSeconds: z.number(),
});
export type PublisherResult = z.infer<typeof PublisherResult>;

interface PublishOptions extends SpreadOptions {
  rate: number;
  bytes: number;
  seconds: number;
  paceMs: number;
  /** 1: `bytes` has no effect. */
  varied: number;
}

/** So that answers that take many ticks do not hold up the rate, and yet what waits has a bound. */
const MAX_IN_FLIGHT = 16;
/** Far below Headgate's SSE_MAX_BODY_BYTES. */
const MAX_REQUEST_BYTES = 512 * 1024;

async function publish(
  sink: Sink,
  options: PublishOptions,
  stopping: AbortSignal,
): Promise<PublisherResult> {
  const { rate, bytes, seconds, paceMs, varied } = options;
  const padding = `"p":"${"x".repeat(bytes)}"`;
  const placeOf = spreadOver(options);
  const maxEvents = Math.max(1, Math.floor(MAX_REQUEST_BYTES / (bytes + 64)));
  const wallUs = await alignClocks();
  const start = performance.now();
  const inFlight = new Set<Promise<void>>();
  const late: number[] = [];
  const requests: number[] = [];
  let [made, failed] = [0, 0];

  const send = async (events: readonly MadeEvent[]): Promise<void> => {
    const sent = performance.now();
    try {
      await sink.send(events);
    } catch (error) {
      failed += events.length;
      if (failed === events.length) console.error(`Publishing failed: ${String(error)}`);
    }
    requests.push(performance.now() - sent);
  };

  for (let tick = 0; !stopping.aborted && tick * paceMs < seconds * 1_000;) {
    const waitMs = start + tick * paceMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    const events: MadeEvent[] = [];
    const now = performance.now();
    // A tick that was late is made up for in the same request, its events with their own time.
    while (start + tick * paceMs <= now && events.length < maxEvents) {
      const t = Math.round(wallUs(start + tick * paceMs));
      const due = Math.floor(((tick + 1) * paceMs * rate) / 1_000);
      if (due > made) late.push(now - start - tick * paceMs);
      for (; made < due && events.length < maxEvents; made += 1) {
        const { n, address } = placeOf(made);
        const members = varied > 0 ? variedMembers(made) : padding;
        events.push({ payload: `{"t":${t},"n":${n},${members}}`, address });
      }
      // The rest of this tick goes with the next request.
      if (made < due) break;
      tick += 1;
    }
    if (events.length === 0) continue;
    const request = send(events).finally(() => inFlight.delete(request));
    inFlight.add(request);
    if (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
  }
  const elapsed = (performance.now() - start) / 1_000;
  await Promise.all(inFlight);
  const { user, system } = process.cpuUsage();
  return {
    published: made - failed,
    failed,
    seconds: elapsed,
    ratePerSecond: made / elapsed,
    lateMs: quantiles(late),
    requestMs: quantiles(requests),
    cpuSeconds: (user + system) / 1e6,
  };
}

/**
 * Real publishers have machines of their own; here one must not wait for a core behind the server and the
 * subscribers. Only root may ask for that; without it `lateMs` shows what it cost.
 */
function preferThisProcess(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_SYSTEM_ERROR"))
      throw error;
  }
}

/**
 * From performance.now() to microseconds since 1970, good to some 10 µs: Date.now() alone has whole
 * milliseconds, and timeOrigin does not follow the wall clock's corrections.
 */
async function alignClocks(): Promise<(ms: number) => number> {
  await Bun.sleep(0);
  const before = Date.now();
  let wallMs = before;
  while (wallMs === before) wallMs = Date.now();
  const offsetMs = wallMs - performance.now();
  return (ms) => (ms + offsetMs) * 1_000;
}

function quantiles(values: number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return Math.round(value * 100) / 100;
  };
  return { p50: at(0.5), p99: at(0.99) };
}

if (import.meta.main) await main();
