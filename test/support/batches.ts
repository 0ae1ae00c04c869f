import fc from "fast-check";
import { Deflater } from "../../src/http/gzip-deflater.ts";
import { GzipSink } from "../../src/http/gzip-sink.ts";

/** Where a stream's bytes end up. */
class Collected {
  readonly pieces: Uint8Array[] = [];
  isTaken = true;
  ending: "end" | "drop" | undefined;

  write(bytes: Uint8Array): boolean {
    this.pieces.push(bytes);
    return this.isTaken;
  }

  end(): void {
    this.ending = "end";
  }

  drop(): void {
    this.ending = "drop";
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

/** A stream of gzip, and what it was written to. */
export function gzipStream(deflater = new Deflater()): { sink: GzipSink; inner: Collected } {
  const inner = new Collected();
  return { sink: new GzipSink(inner, deflater), inner };
}

/** What the hub may write: JSON, few letters, and noise, short and long. */
export const anyBatch = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .tuple(fc.integer({ min: 0, max: 5000 }), fc.uint8Array({ minLength: 1, maxLength: 40 }))
    .map(([length, letters]) => Buffer.alloc(length, letters)),
);

/** Bytes that nothing makes fewer. */
export function noise(size: number): Buffer {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(size)));
}
