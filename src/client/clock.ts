/** Time and chance, which tests make up. */
export interface Clock {
  /** Since 1970, milliseconds: what tokens expire by. */
  readonly wallMs: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Calls later; returns what calls it off. */
  readonly after: (ms: number, call: () => void) => () => void;
}

/** Longest that a timer can wait; a longer wait would be over at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: Date.now,
  random: Math.random,
  after: (ms, call) => {
    const timer = setTimeout(call, Math.min(ms, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
