import { publish } from "./server.ts";

interface NumbersOptions {
  readonly url: string;
  /** Of each who publishes at the same time another one. */
  readonly name?: string;
  /** What is published for a number; the number itself where this is left out. */
  readonly data?: (n: number) => unknown;
}

/**
 * Somebody who publishes all the time, 0, 1, 2 …, each until it is acknowledged: a process that is
 * killed takes requests along, and under its key each is published once all the same.
 */
export class Numbers implements AsyncDisposable {
  /** How many are acknowledged: those below are stored, once each. */
  acknowledged = 0;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: NumbersOptions) {
    this.#running = this.#publish(options);
  }

  /** Resolves with how many there are. */
  async end(): Promise<number> {
    this.#ending.abort();
    await this.#running;
    return this.acknowledged;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #publish({ url, name = "number", data = (n) => n }: NumbersOptions): Promise<void> {
    /** The last one must be cleared up too: it may be stored. */
    let isUnclear = false;
    while (!this.#ending.signal.aborted || isUnclear) {
      const n = this.acknowledged;
      const key = { "Idempotency-Key": `${name} ${n}` };
      isUnclear = true;
      try {
        const answer = await publish(url, { data: data(n) }, key);
        await answer.text();
        if (answer.status !== 200) continue;
        this.acknowledged += 1;
        isUnclear = false;
      } catch {
        // Nobody is there just now.
        await Bun.sleep(5);
      }
    }
  }
}
