/**
 * Most tokens that are remembered: somebody with many short-lived ones cannot fill our memory. What
 * is forgotten too early lives until the leeway after its `exp` is over, and no longer.
 */
const MAX_TOKENS = 10_000;

/** A token, as far as one has to know it again. */
export interface ExpiredToken {
  readonly fingerprint: string;
  /** Afterwards `exp` and its leeway refuse it anyway; milliseconds since 1970. */
  readonly untilMs: number;
}

/**
 * Tokens that have ended a stream. The leeway after `exp` is for clocks that differ, not for a
 * second life: without this list, whoever is closed would come back at once, for another minute.
 */
export class ExpiredTokens {
  /** `untilMs` by fingerprint, oldest first. */
  readonly #untilMs = new Map<string, number>();

  /** Called with each one that is remembered: for other processes. */
  onRemembered: (token: ExpiredToken) => void = () => {};

  /** A stream has been ended here. */
  remember(token: ExpiredToken, nowMs: number): void {
    this.learn(token, nowMs);
    this.onRemembered(token);
  }

  /** The same, where it was in another process. */
  learn({ fingerprint, untilMs }: ExpiredToken, nowMs: number): void {
    if (untilMs <= nowMs) return;
    for (const [old, oldUntilMs] of this.#untilMs) {
      if (oldUntilMs > nowMs && this.#untilMs.size < MAX_TOKENS) break;
      this.#untilMs.delete(old);
    }
    this.#untilMs.set(fingerprint, untilMs);
  }

  /** For a process that begins: what it has missed. */
  all(): ExpiredToken[] {
    return [...this.#untilMs].map(([fingerprint, untilMs]) => ({ fingerprint, untilMs }));
  }

  has(fingerprint: string): boolean {
    return this.#untilMs.has(fingerprint);
  }

  get size(): number {
    return this.#untilMs.size;
  }
}
