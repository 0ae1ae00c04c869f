import type { ReadableLog } from "../log/readable-log.ts";
import { FanOut, type FanOutOptions } from "./fan-out.ts";
import { LANES } from "./group.ts";
import { PreparedEntries } from "./prepared-entries.ts";
import type { ReadingPoint } from "./page.ts";
import type { Subscriber } from "./subscriber.ts";

/** Subscribers from which on another lane is worth its while: writes of about a millisecond. */
const LANE_FILL = 128;

/** Chooses lanes for subscribers, so that all have about as many. */
export class LaneChoice {
  readonly #sizes: number[] = Array.from({ length: LANES }, () => 0);
  readonly #fill: number;
  #size = 0;

  constructor(fill = LANE_FILL) {
    this.#fill = fill;
  }

  enter(): number {
    this.#size += 1;
    const lanes = Math.min(LANES, Math.ceil(this.#size / this.#fill));
    let lane = 0;
    for (let other = 1; other < lanes; other += 1) {
      if (this.#sizeOf(other) < this.#sizeOf(lane)) lane = other;
    }
    this.#sizes[lane] = this.#sizeOf(lane) + 1;
    return lane;
  }

  leave(lane: number): void {
    this.#size -= 1;
    this.#sizes[lane] = this.#sizeOf(lane) - 1;
  }

  #sizeOf(lane: number): number {
    return this.#sizes[lane] ?? 0;
  }
}

/** What is left after a lane's turn: other lanes' turns, another round over all of them, or nothing. */
export type TurnState = "sweeping" | "behind" | "done";

/**
 * The fan-out to live subscribers, a part of them (a *lane*) at a time: between two lanes the event
 * loop takes what has come meanwhile, and the next lane gets that too. So an event waits for the
 * turn of one lane and not of all, and the loop is never held up for longer; the number of writes
 * is the same. Each lane has a place in the log of its own, at which all of its live ones are.
 */
export class Lanes {
  readonly #log: ReadableLog;
  readonly #prepared = new PreparedEntries();
  readonly #lanes: readonly FanOut[];
  #next = 0;

  constructor(options: Omit<FanOutOptions, "lane" | "prepared">) {
    this.#log = options.log;
    const shared = { ...options, prepared: this.#prepared };
    this.#lanes = Array.from({ length: LANES }, (_, lane) => new FanOut({ ...shared, lane }));
  }

  /** A subscriber has caught up with its lane. */
  add(subscriber: Subscriber): void {
    this.#of(subscriber).add(subscriber);
  }

  /** A subscriber is not live any more; nothing where it was not. */
  remove(subscriber: Subscriber): void {
    this.#of(subscriber).remove(subscriber);
  }

  /** The last entry that the live ones of its lane have been given. */
  seq(subscriber: Subscriber): number {
    return this.#of(subscriber).seq;
  }

  /** Where a live subscriber stands. */
  id(subscriber: Subscriber): string {
    return this.#of(subscriber).id(subscriber.group.subscription.topics);
  }

  /** The point from which a live subscriber would read on. */
  pointFor(subscriber: Subscriber): ReadingPoint {
    return this.#of(subscriber).pointFor(subscriber.group);
  }

  /** The turn of one lane. */
  turn(): TurnState {
    const { headSeq } = this.#log;
    while (this.#next < LANES) {
      const lane = this.#lanes[this.#next++];
      if (lane && lane.seq < headSeq) {
        lane.turn();
        break;
      }
    }
    this.#prepared.forgetUpTo(Math.min(...this.#lanes.map((lane) => lane.seq)));
    if (this.#next < LANES && this.#isBehind(this.#next)) return "sweeping";
    this.#next = 0;
    return this.#isBehind(0) ? "behind" : "done";
  }

  #isBehind(from: number): boolean {
    const { headSeq } = this.#log;
    return this.#lanes.slice(from).some((lane) => lane.seq < headSeq);
  }

  #of({ lane }: Subscriber): FanOut {
    const fanOut = this.#lanes[lane];
    if (!fanOut) throw new Error(`There is no lane ${lane}`);
    return fanOut;
  }
}
