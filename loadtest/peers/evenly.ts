import type { Load, Publishing } from "./peer.ts";

/** Hands payloads on; resolves when the server has taken them. */
export type Send = (payloads: readonly string[]) => Promise<void>;

const PACE_MS = 5;
/** So that answers that take long do not hold up the rate, and yet what waits has a bound. */
const MAX_IN_FLIGHT = 16;

/**
 * Every few milliseconds sends the events that are due. An event's time is that of its tick, also where
 * it is sent late: what a server makes wait counts as delay.
 */
export function publishEvenly({ rate, bytes }: Load, send: Send): Publishing {
  const stopping = new AbortController();
  const done = publishUntil(stopping.signal, rate, "x".repeat(bytes), send);
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

async function publishUntil(
  stopping: AbortSignal,
  rate: number,
  padding: string,
  send: Send,
): Promise<void> {
  const startUs = await wallClockUs();
  const startMs = performance.now();
  const inFlight = new Set<Promise<void>>();
  let made = 0;
  let hasFailed = false;
  // What a server that is overloaded does not take is missing among the deliveries.
  const complainOnce = (error: unknown): void => {
    if (!hasFailed) console.error(`Publishing failed: ${String(error)}`);
    hasFailed = true;
  };
  for (let tick = 0; !stopping.aborted; tick += 1) {
    const dueMs = tick * PACE_MS;
    await Bun.sleep(Math.max(0, startMs + dueMs - performance.now()));
    const due = Math.floor(((tick + 1) * PACE_MS * rate) / 1_000);
    if (due === made) continue;
    const t = Math.round(startUs + dueMs * 1_000);
    const payloads: string[] = [];
    for (; made < due; made += 1) payloads.push(`{"t":${t},"n":${made},"p":"${padding}"}`);
    const sending = send(payloads)
      .catch(complainOnce)
      .finally(() => inFlight.delete(sending));
    inFlight.add(sending);
    if (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
}

/** Date.now() has whole milliseconds: just after it changed. */
async function wallClockUs(): Promise<number> {
  await Bun.sleep(0);
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now * 1_000;
}

/** One request to `url`; throws where it is not taken. */
export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await fetch(url, { method: "POST", headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
}
