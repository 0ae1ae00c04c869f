/** Limits how many events a second each sender may publish. */
export interface PublishRate {
  /**
   * Takes events from a sender's allowance. Undefined: they may be published. Else nothing is taken,
   * and it is the seconds after which these would be.
   *
   * A sender may save up one second's worth. A batch of more than that (or one event, where the
   * limit is below one a second) passes when all of it is there, and is paid for afterwards: it
   * would otherwise never pass.
   * @param nowMs A clock that never goes back, such as `performance.now()`.
   */
  admit(sender: string, events: number, nowMs: number): number | undefined;
}

/**
 * Senders that are remembered at the same time, about 10 MB. Whoever sends from more addresses makes
 * us forget some, and what is forgotten starts with a full allowance: but an address that was not
 * used yet has that too, so that the attacker, who has one second's worth from each of them anyway,
 * gains nothing but work. Users cannot be made up: they come from tokens.
 */
const MAX_SENDERS = 100_000;

/**
 * Senders that are looked at for each new one, going round. Four for one: while senders come at an
 * even rate, those whose allowance is full again are forgotten before they are a third of those in use.
 */
const SWEPT_PER_NEW_SENDER = 4;

/** A microsecond: what floating point may be off by, and a sender that has waited must get through. */
const TOLERANCE_MS = 0.001;

/** What a bucket holds, in the time that it takes to fill. */
const CAPACITY_MS = 1000;

const UNLIMITED: PublishRate = { admit: () => undefined };

/** 0: no limit. */
export function createPublishRate(eventsPerSecond: number, maxSenders = MAX_SENDERS): PublishRate {
  return eventsPerSecond === 0 ? UNLIMITED : new TokenBuckets(eventsPerSecond, maxSenders);
}

/** The name that a sender's allowance goes by: a user's, or the address's where nobody is named. */
export function senderName({
  user,
  address,
}: {
  user: string | undefined;
  address: string;
}): string {
  // A user may be called like an address.
  return user === undefined ? `address ${address}` : `user ${user}`;
}

/**
 * Token buckets as the generic cell rate algorithm keeps them [ITU-T I.371 §A]: all that there is to
 * know of a bucket is when it will be full again.
 */
class TokenBuckets implements PublishRate {
  readonly #msPerEvent: number;
  readonly #maxSenders: number;
  /** Who is not here has a full bucket. */
  readonly #fullAtMs = new Map<string, number>();
  /** Stays valid while senders come and go: those that come are visited at the end. */
  #round = this.#fullAtMs.entries();

  constructor(eventsPerSecond: number, maxSenders: number) {
    this.#msPerEvent = 1000 / eventsPerSecond;
    this.#maxSenders = maxSenders;
  }

  admit(sender: string, events: number, nowMs: number): number | undefined {
    const known = this.#fullAtMs.get(sender);
    const fullAtMs = Math.max(known ?? nowMs, nowMs);
    const costMs = events * this.#msPerEvent;
    // What is missing in the bucket must leave room for what is taken now: at most all of it.
    const waitMs = fullAtMs - nowMs - Math.max(0, CAPACITY_MS - costMs);
    if (waitMs > TOLERANCE_MS) return waitMs / 1000;
    if (known === undefined) this.#makeRoom(nowMs);
    this.#fullAtMs.set(sender, fullAtMs + costMs);
    return undefined;
  }

  /**
   * Forgets full buckets. Where all that it sees are in use and there is no room, it forgets the one
   * that is full first: that gives away the least.
   */
  #makeRoom(nowMs: number): void {
    let soonest: readonly [sender: string, fullAtMs: number] | undefined;
    for (let i = 0; i < SWEPT_PER_NEW_SENDER; i += 1) {
      const visited = this.#visitNext();
      if (!visited) break;
      if (visited[1] <= nowMs) this.#fullAtMs.delete(visited[0]);
      else if (!soonest || visited[1] < soonest[1]) soonest = visited;
    }
    if (soonest && this.#fullAtMs.size >= this.#maxSenders) this.#fullAtMs.delete(soonest[0]);
  }

  #visitNext(): readonly [sender: string, fullAtMs: number] | undefined {
    const next = this.#round.next();
    if (next.done !== true) return next.value;
    this.#round = this.#fullAtMs.entries();
    return this.#round.next().value;
  }
}
