/** How many streams may be open. */
export interface ConnectionLimitOptions {
  /** In all. */
  readonly maxConnections: number;
  /** Of one address, as `clientAddress` tells it; 0: no limit. */
  readonly maxPerAddress: number;
  /** Of one user; 0: no limit. */
  readonly maxPerUser: number;
}

/** Who a stream is counted for. */
export interface StreamOwner {
  readonly address: string;
  /** Undefined where nobody is named. */
  readonly user: string | undefined;
}

/** Why a stream is turned away. */
export type Refusal = "overloaded" | "too-many-connections";

/** Gives back what was counted; only the first call counts. */
export type Release = () => void;

/** Port. The limits of an instance, in all its processes. */
export interface StreamLimits {
  /** Counts one more stream of this owner; or says why it must not be opened. */
  admit(owner: StreamOwner): Refusal | Release | Promise<Refusal | Release>;
}

/** Counts open streams, in all and for each address and user; holds nothing of who has none open. */
export class ConnectionLimits implements StreamLimits {
  readonly #maxConnections: number;
  readonly #addresses: Tally;
  readonly #users: Tally;
  #size = 0;

  constructor({ maxConnections, maxPerAddress, maxPerUser }: ConnectionLimitOptions) {
    this.#maxConnections = maxConnections;
    this.#addresses = new Tally(maxPerAddress);
    this.#users = new Tally(maxPerUser);
  }

  /** Streams that are open. */
  get size(): number {
    return this.#size;
  }

  /** Why one more stream must not be opened; undefined: it may. */
  refusal({ address, user }: StreamOwner): Refusal | undefined {
    if (this.#size >= this.#maxConnections) return "overloaded";
    if (this.#addresses.isFull(address)) return "too-many-connections";
    if (user !== undefined && this.#users.isFull(user)) return "too-many-connections";
    return undefined;
  }

  admit(owner: StreamOwner): Refusal | Release {
    return this.refusal(owner) ?? this.take(owner);
  }

  /**
   * Counts a stream until the returned function is called, of which only the first call counts: a
   * stream's end can be told twice, by the server that ends it and by the peer that goes.
   */
  take({ address, user }: StreamOwner): Release {
    this.#size += 1;
    this.#addresses.add(address);
    if (user !== undefined) this.#users.add(user);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#size -= 1;
      this.#addresses.remove(address);
      if (user !== undefined) this.#users.remove(user);
    };
  }
}

/** How many open streams each name has. Bounded by the open streams; empty where there is no limit. */
class Tally {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  isFull(name: string): boolean {
    return this.#limit > 0 && (this.#counts.get(name) ?? 0) >= this.#limit;
  }

  add(name: string): void {
    if (this.#limit > 0) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  remove(name: string): void {
    const count = this.#counts.get(name);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(name, count - 1);
    else this.#counts.delete(name);
  }
}
