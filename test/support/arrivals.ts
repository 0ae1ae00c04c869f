import type { Settings } from "./server.ts";

/** Lets tests wait for what a stream brings. */
export class Arrivals {
  readonly #waiting = new Set<() => void>();

  /** Something has come, or the stream has ended: whoever waits looks again. */
  note(): void {
    for (const look of this.#waiting) look();
  }

  /** Resolves when the condition holds; `describe` says what had come where it never does. */
  until(
    isTrue: () => boolean,
    { deadlineMs = 10_000, describe }: { deadlineMs?: number; describe: () => readonly string[] },
  ): Promise<void> {
    if (isTrue()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!isTrue()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        const last = describe().join(" | ").slice(0, 1000);
        reject(new Error(`${String(isTrue)} not so within ${deadlineMs} ms; last: ${last}`));
      }, deadlineMs);
      this.#waiting.add(look);
    });
  }
}

/** Asks for a stream, which `abort` cuts. */
export async function openStream(
  url: string,
  {
    accept,
    headers,
    lastEventId,
  }: { accept: string; headers: Settings; lastEventId: string | undefined },
): Promise<{ response: Response; abort: AbortController }> {
  const abort = new AbortController();
  const response = await fetch(url, {
    signal: abort.signal,
    headers: {
      Accept: accept,
      ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }),
      ...headers,
    },
  });
  return { response, abort };
}
