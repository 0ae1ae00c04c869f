/** Publishes events as `publisher.ts` makes them, some at a time, numbered on from call to call. */
export class NumberedEvents {
  readonly #padding: string;
  #published = 0;

  constructor(bytes: number) {
    this.#padding = "x".repeat(bytes);
  }

  /** How many so far; the last one's number is one less. */
  get published(): number {
    return this.#published;
  }

  /** Resolves when all are stored; throws where one is refused. */
  async publish(port: number, count: number): Promise<void> {
    const end = this.#published + count;
    while (this.#published < end) {
      const length = Math.min(BATCH, end - this.#published);
      const t = Date.now() * 1_000;
      const events = Array.from({ length }, (_, index) => ({
        data: { t, n: this.#published + index, p: this.#padding },
      }));
      const answer = await fetch(`http://127.0.0.1:${port}/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(events),
      });
      if (answer.status !== 200) throw new Error(`Publishing was answered with ${answer.status}`);
      await answer.arrayBuffer();
      this.#published += length;
    }
  }
}

/** With the largest events still below SSE_MAX_BODY_BYTES. */
const BATCH = 100;
