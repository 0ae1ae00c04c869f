/** What clients met that came one by one, each for the first time. Times in milliseconds. */
export interface FreshClients {
  /** They had their first event. */
  readonly served: number;
  /** They had none: refused, cut, turned away, or waiting for too long. */
  readonly failed: number;
  /** Why the first of them had none. */
  readonly failure: string | undefined;
  readonly firstEventMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/**
 * Opens an event stream every `everyMs`, whatever became of those before it, and leaves it after its
 * first event. `stop` waits for those that are there, and resolves to what they met.
 */
export function startFreshClients(
  url: string,
  everyMs: number,
): { stop: () => Promise<FreshClients> } {
  const stopping = new AbortController();
  const times: number[] = [];
  let failed = 0;
  let failure: string | undefined;
  const open = new Set<Promise<void>>();
  const comeAndGo = async (): Promise<void> => {
    try {
      times.push(await timeToFirstEvent(url, stopping.signal));
    } catch (error) {
      failed += 1;
      failure ??= String(error);
    }
  };
  const timer = setInterval(() => {
    const client = comeAndGo().finally(() => open.delete(client));
    open.add(client);
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.race([Promise.all(open), Bun.sleep(MOST_WAIT_MS)]);
      stopping.abort();
      await Promise.all(open);
      return { served: times.length, failed, failure, firstEventMs: quantilesOf(times) };
    },
  };
}

const MOST_WAIT_MS = 10_000;

async function timeToFirstEvent(url: string, signal: AbortSignal): Promise<number> {
  const startMs = performance.now();
  const answer = await fetch(url, { headers: { Accept: "text/event-stream" }, signal });
  if (answer.status !== 200 || answer.body === null) throw new Error(`Status ${answer.status}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of answer.body) {
    text += decoder.decode(part, { stream: true });
    if (!/^data: .*\n\n/m.test(text)) continue;
    if (/^event: close$/m.test(text)) throw new Error("The server turned it away");
    // Leaving the loop ends the connection.
    return performance.now() - startMs;
  }
  throw new Error("The stream ended before its first event");
}

function quantilesOf(times: readonly number[]): FreshClients["firstEventMs"] {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
