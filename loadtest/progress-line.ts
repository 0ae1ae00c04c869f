/** A line that says what runs and for how long; on a terminal it is drawn anew each second. */
export class ProgressLine implements Disposable {
  readonly #text: string;
  readonly #startedMs = performance.now();
  readonly #timer: Timer | undefined;

  constructor(text: string) {
    this.#text = text;
    if (!process.stderr.isTTY) return;
    this.#draw("…");
    this.#timer = setInterval(() => this.#draw("…"), 1_000);
  }

  /** Since it began. */
  get seconds(): number {
    return Math.round((performance.now() - this.#startedMs) / 1_000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#draw("");
    process.stderr.write("\n");
  }

  #draw(mark: string): void {
    const start = process.stderr.isTTY ? "\r\u001b[K" : "";
    process.stderr.write(`${start}${this.#text} ${mark} ${this.seconds} s`.replace("  ", " "));
  }
}
