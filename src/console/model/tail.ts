import { createMatcher, type Filter, NO_FILTER } from "./filter.ts";
import type { ReceivedEvent } from "./received-event.ts";
import { Ring } from "./ring.ts";

/** Events that are held, so that a page that stays open for a week needs no more than after a minute. */
const MAX_EVENTS = 2000;

/** Characters of them: two thousand of the largest events would be half a gigabyte. */
const MAX_CHARACTERS = 16 << 20;

export interface TailLimits {
  readonly maxEvents: number;
  readonly maxCharacters: number;
}

/**
 * What the list shows: the newest events that match the filter. While it is held it shows what was
 * there then, and counts what has come since; what comes meanwhile is kept within the same limits.
 */
export class Tail {
  readonly #limits: TailLimits;
  readonly #events = new Ring<ReceivedEvent>();
  readonly #matching = new Ring<ReceivedEvent>();
  #filter = NO_FILTER;
  #matches = createMatcher(NO_FILTER);
  #characters = 0;
  #received = 0;
  #dropped = 0;
  #held: { readonly all: readonly ReceivedEvent[]; shown: readonly ReceivedEvent[] } | undefined;
  #waiting = 0;

  constructor(limits: TailLimits = { maxEvents: MAX_EVENTS, maxCharacters: MAX_CHARACTERS }) {
    this.#limits = limits;
  }

  get filter(): Filter {
    return this.#filter;
  }

  /** Everything that has come, shown or not. */
  get received(): number {
    return this.#received;
  }

  /** What has been let go for want of room. */
  get dropped(): number {
    return this.#dropped;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Matching events that have come since it is held. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many events can be shown. */
  get length(): number {
    return this.#held ? this.#held.shown.length : this.#matching.length;
  }

  /** 0 is the newest. */
  at(index: number): ReceivedEvent | undefined {
    const place = this.length - 1 - index;
    return this.#held ? this.#held.shown[place] : this.#matching.at(place);
  }

  /** Where an event is shown; -1 where it is not, or no more. O(log n). */
  indexOf(number: number): number {
    let low = 0;
    let high = this.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.at(middle)?.number ?? 0;
      if (found === number) return middle;
      if (found > number) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  add(event: ReceivedEvent): void {
    this.#received += 1;
    this.#events.push(event);
    this.#characters += event.envelope.length;
    if (this.#matches(event)) {
      this.#matching.push(event);
      if (this.#held) this.#waiting += 1;
    }
    const { maxEvents, maxCharacters } = this.#limits;
    while (
      this.#events.length > maxEvents ||
      (this.#characters > maxCharacters && this.#events.length > 1)
    ) {
      const oldest = this.#events.shift();
      this.#characters -= oldest?.envelope.length ?? 0;
      this.#dropped += 1;
      if (this.#matching.at(0) === oldest) this.#matching.shift();
    }
  }

  /** Shows what matches, of what is held too. */
  setFilter(filter: Filter): void {
    this.#filter = filter;
    this.#matches = createMatcher(filter);
    this.#matching.clear();
    for (const event of this.#events.toArray()) {
      if (this.#matches(event)) this.#matching.push(event);
    }
    if (!this.#held) return;
    const { all } = this.#held;
    const last = all.at(-1)?.number ?? 0;
    this.#held.shown = all.filter(this.#matches);
    this.#waiting = this.#matching.toArray().filter(({ number }) => number > last).length;
  }

  hold(): void {
    this.#held ??= { all: this.#events.toArray(), shown: this.#matching.toArray() };
  }

  release(): void {
    this.#held = undefined;
    this.#waiting = 0;
  }

  clear(): void {
    this.#events.clear();
    this.#matching.clear();
    this.#characters = 0;
    this.#dropped = 0;
    this.#received = 0;
    this.release();
  }

  /** What is shown, oldest first. */
  toArray(): readonly ReceivedEvent[] {
    return this.#held?.shown ?? this.#matching.toArray();
  }
}
