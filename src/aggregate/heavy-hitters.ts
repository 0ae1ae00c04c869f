/**
 * How often each of many names came, in bounded memory [Misra and Gries, "Finding repeated
 * elements", 1982; mergeable as in Agarwal et al., "Mergeable summaries", 2012].
 *
 * Of each name that is held, the count is exact as long as nothing is in `other`, else a lower
 * bound: it is short by at most `other / (capacity + 1)`. So a name that came more often than that
 * is held. All that is held and `other` are together always exactly what was added.
 */
export class HeavyHitters {
  readonly #capacity: number;
  #counts = new Map<string, number>();
  #other = 0;

  constructor(capacity: number, { items = [], other = 0 }: Partial<HitterCounts> = {}) {
    this.#capacity = capacity;
    this.#counts = new Map(items);
    this.#other = other;
    this.compact();
  }

  /** What was added and is not held under a name. */
  get other(): number {
    return this.#other;
  }

  /** Names held: at most twice the capacity. */
  get size(): number {
    return this.#counts.size;
  }

  add(name: string, count: number): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    // Twice the capacity: the cost of making room is shared by as many names as there is room for.
    if (this.#counts.size > 2 * this.#capacity) this.compact();
  }

  /** Adds without a name. */
  addOther(count: number): void {
    this.#other += count;
  }

  merge(from: HeavyHitters): void {
    for (const [name, count] of from.#counts) this.add(name, count);
    this.#other += from.#other;
  }

  /** Makes room: at most `capacity` names stay. O(n log n). */
  compact(): void {
    if (this.#counts.size <= this.#capacity) return;
    const descending = Float64Array.from(this.#counts.values()).toSorted().toReversed();
    const share = descending[this.#capacity] ?? 0;
    const kept = new Map<string, number>();
    for (const [name, count] of this.#counts) {
      if (count > share) kept.set(name, count - share);
      this.#other += Math.min(count, share);
    }
    this.#counts = kept;
  }

  /** The most frequent names, most frequent first, `capacity` of them at most, and all the rest as `other`. */
  top(): HitterCounts {
    const items = [...this.#counts].toSorted(([, a], [, b]) => b - a);
    const rest = items.splice(this.#capacity).reduce((sum, [, count]) => sum + count, 0);
    return { items, other: this.#other + rest };
  }

  /** All that is held, for the constructor. */
  toJSON(): HitterCounts {
    return { items: [...this.#counts], other: this.#other };
  }
}

export interface HitterCounts {
  readonly items: readonly (readonly [name: string, count: number])[];
  readonly other: number;
}
