import { HeadgateError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Coordinates, OutgoingRecord } from "../log/publisher.ts";

/** Something that must hear when a publication it carries is given up on. */
export interface Carrier {
  giveUp(): void;
}

/** One call of `publish`: settles once, when the last of its records is acknowledged or the first fails. */
export class Publication {
  readonly #coordinates: Coordinates[] = [];
  /** Places of the records that may be stored. */
  readonly #written = new Set<number>();
  readonly #carriers = new Set<Carrier>();
  readonly #result = Promise.withResolvers<Coordinates[]>();
  readonly #timer: Timer;
  readonly #timeoutMs: number;
  #awaited: number;
  #isSettled = false;
  #isLate = false;

  constructor(records: number, timeoutMs: number) {
    this.#awaited = records;
    this.#timeoutMs = timeoutMs;
    this.#timer = setTimeout(() => this.#giveUp(), timeoutMs);
  }

  get result(): Promise<Coordinates[]> {
    return this.#result.promise;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Settled by its deadline. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** A request that holds this record is about to be written. */
  markWritten(index: number): void {
    this.#written.add(index);
  }

  /** Kafka has answered that this record is not stored. */
  markRefused(index: number): void {
    this.#written.delete(index);
  }

  /** While a record is with this carrier, it hears of the end of the publication. */
  carriedBy(carrier: Carrier): void {
    this.#carriers.add(carrier);
  }

  acknowledge(index: number, coordinates: Coordinates): void {
    if (this.#isSettled) return;
    this.#coordinates[index] = coordinates;
    this.#awaited -= 1;
    if (this.#awaited > 0) return;
    this.#settle();
    this.#result.resolve(this.#coordinates);
  }

  fail(code: ErrorCode, message: string, cause?: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    const isWorthRetrying = code === "publish-timeout" || code === "publish-failed";
    this.#result.reject(
      new HeadgateError(code, message, {
        mayBeStored: this.#written.size > 0,
        cause,
        ...(isWorthRetrying ? { retryAfterS: 1 } : {}),
      }),
    );
  }

  #giveUp(): void {
    this.#isLate = true;
    this.fail("publish-timeout", `Kafka did not acknowledge within ${this.#timeoutMs} ms`);
  }

  #settle(): void {
    this.#isSettled = true;
    clearTimeout(this.#timer);
    for (const carrier of this.#carriers) carrier.giveUp();
    this.#carriers.clear();
  }
}

/** One record on its way to one partition. */
export interface Parcel {
  readonly record: OutgoingRecord;
  readonly publication: Publication;
  /** Its place in the publication. */
  readonly index: number;
  readonly bytes: number;
}
