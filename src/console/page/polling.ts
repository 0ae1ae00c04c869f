/** Longest wait between two tries while the server does not answer. */
const MAX_WAIT_MS = 30_000;

export interface PollingOptions {
  readonly everyMs: number;
  readonly ask: () => Promise<Response>;
  readonly onData: (body: unknown) => void;
  /** It is not answered as it should be: the status, or 0 where nothing answers. */
  readonly onFailure: (status: number) => void;
}

/** Asks again and again, but only while somebody looks at the page, and less often of a server that does not answer. */
export class Polling {
  readonly #options: PollingOptions;
  #isOn = false;
  #isAsking = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: PollingOptions) {
    this.#options = options;
    document.addEventListener("visibilitychange", () => this.#next(0));
  }

  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#failures = 0;
    this.#next(0);
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  #next(waitMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#isOn || document.hidden || this.#isAsking) return;
    this.#timer = setTimeout(() => void this.#ask(), waitMs);
  }

  async #ask(): Promise<void> {
    const { everyMs, ask, onData, onFailure } = this.#options;
    this.#isAsking = true;
    try {
      const response = await ask();
      const body: unknown = response.ok ? await response.json() : undefined;
      if (response.ok && this.#isOn) onData(body);
      else if (this.#isOn) onFailure(response.status);
      this.#failures = response.ok ? 0 : this.#failures + 1;
    } catch {
      this.#failures += 1;
      if (this.#isOn) onFailure(0);
    } finally {
      this.#isAsking = false;
    }
    this.#next(Math.min(MAX_WAIT_MS, everyMs * 2 ** Math.min(this.#failures, 6)));
  }
}
