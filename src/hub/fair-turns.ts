/** One small piece of a longer work; true: there is more. */
export type Step = () => boolean;

/**
 * Runs long works a step at a time, each in its turn, for at most `budgetMs` in one turn of the
 * event loop: a scan that finds nothing must not starve the streams, nor the other scans.
 */
export class FairTurns {
  readonly #budgetMs: number;
  #waiting: Step[] = [];
  #next: NodeJS.Immediate | undefined;

  constructor(budgetMs = 5) {
    this.#budgetMs = budgetMs;
  }

  /** Adds a work. It runs from the next turn of the event loop on. */
  add(step: Step): void {
    this.#waiting.push(step);
    this.#next ??= setImmediate(() => this.#run());
  }

  /**
   * Runs a generator to its end, a `yield` at a time; rejects with what it throws, or once nobody
   * waits for it any more.
   */
  run<T>(work: Generator<void, T, void>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      this.add(() => {
        try {
          signal.throwIfAborted();
          const { done, value } = work.next();
          if (done) resolve(value);
          return !done;
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          return false;
        }
      });
    });
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next);
    this.#waiting = [];
  }

  #run(): void {
    const started = performance.now();
    const round = this.#waiting;
    this.#waiting = [];
    let done = 0;
    for (const step of round) {
      done += 1;
      // What has more to do goes behind those that have not had their turn yet.
      if (step()) this.#waiting.push(step);
      if (performance.now() - started >= this.#budgetMs) break;
    }
    this.#waiting = [...round.slice(done), ...this.#waiting];
    this.#next = this.#waiting.length > 0 ? setImmediate(() => this.#run()) : undefined;
  }
}
