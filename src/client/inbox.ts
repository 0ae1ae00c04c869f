import type { Frame } from "./frame-source.ts";
import type { Gate } from "./gate.ts";

/** However few events they are: a thousand of the largest would be a quarter of a gigabyte. */
const MAX_CHARACTERS = 8 << 20;

/**
 * What has come and has not been taken. When it is full it closes the gate, and opens it again when
 * half of it has been taken.
 */
export class Inbox {
  readonly #gate: Gate;
  readonly #maxFrames: number;
  #frames: Frame[] = [];
  #characters = 0;
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(gate: Gate, maxFrames: number) {
    this.#gate = gate;
    this.#maxFrames = maxFrames;
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  put(frame: Frame): void {
    this.#frames.push(frame);
    this.#characters += frame.data.length;
    if (this.#isFuller(1)) this.#gate.close();
    this.#wake();
  }

  /** The next one, when it has come; undefined once it has ended and is empty. */
  async take(): Promise<Frame | undefined> {
    while (this.isEmpty && !this.#isEnded) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const frame = this.#frames.shift();
    this.#characters -= frame?.data.length ?? 0;
    if (!this.#isFuller(0.5)) this.#gate.open();
    return frame;
  }

  /** No more will come. What has come can be taken still. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  clear(): void {
    this.#frames = [];
    this.#characters = 0;
    this.#gate.open();
  }

  #isFuller(part: number): boolean {
    return (
      this.#frames.length >= this.#maxFrames * part || this.#characters >= MAX_CHARACTERS * part
    );
  }
}
