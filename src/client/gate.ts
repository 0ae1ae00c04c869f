/** Says whether more may be read: closed while what has come has not been taken. */
export class Gate {
  #isOpen = true;
  #opening = Promise.resolve();
  #resolve = (): void => undefined;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#opening = new Promise((resolve) => (this.#resolve = resolve));
  }

  open(): void {
    this.#isOpen = true;
    this.#resolve();
  }

  /** Resolves once it is open: at once where it is. */
  opened(): Promise<void> {
    return this.#opening;
  }
}
