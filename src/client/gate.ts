/** Says whether more may be read: closed while what has come has not been taken. */
export class Gate {
  #opening: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  get isOpen(): boolean {
    return this.#opening === undefined;
  }

  close(): void {
    if (this.#opening) return;
    let resolve = (): void => undefined;
    const promise = new Promise<void>((done) => (resolve = done));
    this.#opening = { promise, resolve };
  }

  open(): void {
    this.#opening?.resolve();
    this.#opening = undefined;
  }

  /** Resolves once it is open: at once where it is. */
  async opened(): Promise<void> {
    await this.#opening?.promise;
  }
}
