import type { Sink } from "../hub/subscriber.ts";
import { GZIP_HEADER, gzipTrailer } from "./gzip-blocks.ts";
import type { Deflater } from "./gzip-deflater.ts";

/**
 * One stream as a member of gzip [RFC 1952]: the header, blocks that it shares with others, and a
 * trailer of its own. It keeps two numbers, no state of a compressor.
 */
export class GzipSink implements Sink {
  readonly #inner: Sink;
  readonly #deflater: Deflater;
  #crc = 0;
  /** Modulo 2^32, as the trailer has it. */
  #length = 0;
  #isBegun = false;

  constructor(inner: Sink, deflater: Deflater) {
    this.#inner = inner;
    this.#deflater = deflater;
  }

  write(bytes: Uint8Array): boolean {
    const deflater = this.#deflater;
    const compressed = this.#begun(deflater.deflate(bytes));
    this.#crc = deflater.appendCrc(this.#crc, bytes);
    this.#length = (this.#length + bytes.byteLength) | 0;
    deflater.count(bytes.byteLength, compressed.byteLength);
    return this.#inner.write(compressed);
  }

  end(): void {
    const trailer = this.#begun(gzipTrailer(this.#crc, this.#length));
    this.#deflater.count(0, trailer.byteLength);
    this.#inner.write(trailer);
    this.#inner.end();
  }

  /** Without a trailer: what was under way is not whole, and the client is to know. */
  drop(): void {
    this.#inner.drop();
  }

  /** The header leaves together with what comes first. */
  #begun(bytes: Uint8Array): Uint8Array {
    if (this.#isBegun) return bytes;
    this.#isBegun = true;
    return Buffer.concat([GZIP_HEADER, bytes]);
  }
}
