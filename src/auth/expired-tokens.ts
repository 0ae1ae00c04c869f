/**
 * Most tokens that are remembered: somebody with many short-lived ones cannot fill our memory. What
 * is forgotten too early lives until the leeway after its `exp` is over, and no longer.
 */
const MAX_TOKENS = 10_000;

/**
 * Tokens that have ended a stream. The leeway after `exp` is for clocks that differ, not for a
 * second life: without this list, whoever is closed would come back at once, for another minute.
 */
export class ExpiredTokens {
  /** By fingerprint, the time after which `exp` and its leeway refuse the token anyway; oldest first. */
  readonly #untilMs = new Map<string, number>();

  remember(fingerprint: string, { untilMs, nowMs }: { untilMs: number; nowMs: number }): void {
    if (untilMs <= nowMs) return;
    for (const [old, oldUntilMs] of this.#untilMs) {
      if (oldUntilMs > nowMs && this.#untilMs.size < MAX_TOKENS) break;
      this.#untilMs.delete(old);
    }
    this.#untilMs.set(fingerprint, untilMs);
  }

  has(fingerprint: string): boolean {
    return this.#untilMs.has(fingerprint);
  }

  get size(): number {
    return this.#untilMs.size;
  }
}
