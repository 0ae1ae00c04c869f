/** A queue in which every place can be looked at; adding, and taking the oldest, is O(1) amortised. */
export class Ring<T> {
  #items: T[] = [];
  #start = 0;

  get length(): number {
    return this.#items.length - this.#start;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the oldest. */
  shift(): T | undefined {
    const item = this.#items[this.#start];
    if (this.#start < this.#items.length) this.#start += 1;
    if (this.#start > 1024 && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return item;
  }

  /** 0 is the oldest. */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[this.#start + index];
  }

  toArray(): T[] {
    return this.#items.slice(this.#start);
  }

  clear(): void {
    this.#items = [];
    this.#start = 0;
  }
}
