import type { Page } from "./page.ts";

/** Bytes of encoded pages that are kept for others of the same group: what a storm of reconnects shares. */
const MAX_BYTES = 16 << 20;

/** What an entry costs beside its bytes, so that empty pages count too. */
const ENTRY_BYTES = 1024;

/** Pages by group and starting point, the least recently used let go first. */
export class PageCache {
  readonly #pages = new Map<string, Page>();
  #bytes = 0;

  get(groupId: number, seq: number): Page | undefined {
    const key = `${groupId}:${seq}`;
    const page = this.#pages.get(key);
    if (!page) return undefined;
    this.#pages.delete(key);
    this.#pages.set(key, page);
    return page;
  }

  set(groupId: number, seq: number, page: Page): void {
    const key = `${groupId}:${seq}`;
    if (this.#pages.has(key)) return;
    this.#pages.set(key, page);
    this.#bytes += page.bytes.byteLength + ENTRY_BYTES;
    for (const [oldest, { bytes }] of this.#pages) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#pages.delete(oldest);
      this.#bytes -= bytes.byteLength + ENTRY_BYTES;
    }
  }
}
