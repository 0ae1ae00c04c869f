import type { Clock } from "../../src/client/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly call: () => void;
}

/** Time that passes when a test says so. Chance gives always the same. */
export class ManualClock implements Clock {
  /** What `random` gives: with 1 the waits have their full length. */
  chance = 1;
  #atMs = 0;
  #timers: readonly Timer[] = [];

  readonly nowMs = (): number => this.#atMs;
  readonly wallMs = (): number => 1_800_000_000_000 + this.#atMs;
  readonly random = (): number => this.chance;

  readonly after = (ms: number, call: () => void): (() => void) => {
    const timer = { atMs: this.#atMs + ms, call };
    this.#timers = [...this.#timers, timer];
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  };

  /** How long each timer has to wait still, the shortest first. */
  get waits(): readonly number[] {
    return this.#timers.map(({ atMs }) => atMs - this.#atMs).toSorted((a, b) => a - b);
  }

  /** Seconds since 1970, as `exp` has them. */
  inSeconds(seconds: number): number {
    return this.wallMs() / 1000 + seconds;
  }

  /** Lets time pass: timers are called one after the other, each when everything before it has happened. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#atMs + ms;
    await settled();
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.atMs - b.atMs);
      if (!next || next.atMs > endMs) break;
      this.#atMs = Math.max(this.#atMs, next.atMs);
      this.#timers = this.#timers.filter((each) => each !== next);
      next.call();
      await settled();
    }
    this.#atMs = endMs;
  }
}

/** Resolves when everything that was ready to happen has happened, what that made ready as well. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
