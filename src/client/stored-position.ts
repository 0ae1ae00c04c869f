import type { Clock } from "./clock.ts";
import type { PositionStorage } from "./stream.ts";

/** Storage of browsers writes to disk, and stops the page for it: not for each event. */
const WRITE_MS = 1000;

/** Keeps a position over page loads. Storage that fails is said once, and done without. */
export class StoredPosition {
  readonly #storage: PositionStorage;
  readonly #key: string;
  readonly #clock: Clock;
  #unwritten: string | undefined;
  #cancel: (() => void) | undefined;
  #hasFailed = false;

  constructor({ storage, key, clock }: { storage: PositionStorage; key: string; clock: Clock }) {
    this.#storage = storage;
    this.#key = key;
    this.#clock = clock;
  }

  async read(): Promise<string | undefined> {
    try {
      return (await this.#storage.getItem(this.#key)) ?? undefined;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** Writes it soon. */
  note(id: string): void {
    this.#unwritten = id;
    this.#cancel ??= this.#clock.after(WRITE_MS, () => void this.flush());
  }

  /** Writes it now. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    const id = this.#unwritten;
    this.#unwritten = undefined;
    if (id === undefined) return;
    try {
      await this.#storage.setItem(this.#key, id);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!this.#hasFailed) console.warn("Headgate: the position cannot be kept", error);
    this.#hasFailed = true;
  }
}
