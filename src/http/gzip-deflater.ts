import { deflatedBlocks } from "./gzip-blocks.ts";
import { SharedCrc } from "./gzip-crc.ts";

/**
 * Compresses what many streams are sent, once for all of them. The same array is known by its
 * identity: nothing may change it once it has been written.
 *
 * Each array is compressed by itself: nothing of one event helps to guess another. But an array may
 * hold several events, and where one of them is a secret, and an attacker chose another and sees how
 * long they are together, that gives the secret away bit by bit (BREACH). Where streams mix the two
 * under TLS, SSE_COMPRESSION=false is the answer.
 */
export class Deflater {
  /** As long as somebody holds what was compressed: the hub's cache of pages, or nobody any more. */
  readonly #compressed = new WeakMap<Uint8Array, Uint8Array>();
  readonly #crc = new SharedCrc();
  #lastBytes: Uint8Array = new Uint8Array();
  #last = deflatedBlocks(this.#lastBytes);
  #inputBytes = 0;
  #outputBytes = 0;

  /** Bytes that streams were to be sent, over all of them. */
  get inputBytes(): number {
    return this.#inputBytes;
  }

  /** Bytes that were written instead. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  /** `bytes` as whole deflate blocks, the same array for all who ask. */
  deflate(bytes: Uint8Array): Uint8Array {
    // A turn writes one array to all of its group, one after another.
    if (bytes === this.#lastBytes) return this.#last;
    let compressed = this.#compressed.get(bytes);
    if (!compressed) this.#compressed.set(bytes, (compressed = deflatedBlocks(bytes)));
    this.#lastBytes = bytes;
    this.#last = compressed;
    return compressed;
  }

  /** The CRC of a stream whose CRC was `crc`, once `bytes` have been appended. */
  appendCrc(crc: number, bytes: Uint8Array): number {
    return this.#crc.append(crc, bytes);
  }

  /** Counts what a stream was to be sent, and what was written. */
  count(inputBytes: number, outputBytes: number): void {
    this.#inputBytes += inputBytes;
    this.#outputBytes += outputBytes;
  }
}
