import { constants, deflateRawSync } from "node:zlib";

/**
 * [RFC 1952 §2.3] What every stream begins with: deflate, no flags, no time, no hint about the
 * level, an unknown system.
 */
export const GZIP_HEADER: Uint8Array = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/**
 * [RFC 1951 §3.2.4] An empty block without compression, which a sync flush ends with. Go's decoder
 * hands out what it has at one of these, and not after a stored block that holds something.
 */
const FLUSH: Uint8Array = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** [RFC 1951 §3.2.4] LEN has two bytes. */
const MAX_STORED_BYTES = 0xffff;

/**
 * What is shorter is stored as it is: deflating takes about 10 µs however short it is, and makes 128
 * bytes of an event stream 15 fewer, of its heartbeats none.
 */
const MIN_DEFLATED_BYTES = 128;

/**
 * For 64 KiB of events level 1 takes half of the time and makes a third more bytes; level 6 takes twice
 * the time for 6% fewer. Smaller windows cost the same.
 */
const LEVEL = 3;

/**
 * Whole deflate blocks that hold `bytes`, to be put after any others: they refer to nothing before
 * them, end at a whole byte, and whoever has them can decode all of `bytes`.
 */
export function deflatedBlocks(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength < MIN_DEFLATED_BYTES) return storedBlocks(bytes);
  const deflated = deflateRawSync(bytes, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH });
  // The same bytes at random, base64 of them, or what is compressed already.
  return deflated.byteLength < storedSize(bytes) ? deflated : storedBlocks(bytes);
}

/**
 * [RFC 1951 §3.2.6, RFC 1952 §2.3.1] What a stream ends with: an empty last block, then CRC-32 and
 * length (modulo 2^32) of all that it held.
 */
export function gzipTrailer(crc: number, length: number): Uint8Array {
  const trailer = Buffer.allocUnsafe(10);
  trailer[0] = 3;
  trailer[1] = 0;
  trailer.writeInt32LE(crc | 0, 2);
  trailer.writeInt32LE(length | 0, 6);
  return trailer;
}

function storedSize({ byteLength }: Uint8Array): number {
  return byteLength + FLUSH.byteLength * (Math.ceil(byteLength / MAX_STORED_BYTES) + 1);
}

function storedBlocks(bytes: Uint8Array): Uint8Array {
  const blocks = Buffer.allocUnsafe(storedSize(bytes));
  let at = 0;
  for (let from = 0; from < bytes.byteLength; from += MAX_STORED_BYTES) {
    const piece = bytes.subarray(from, from + MAX_STORED_BYTES);
    // BFINAL 0, BTYPE 00, and the bits up to the next whole byte.
    blocks[at] = 0;
    blocks.writeUInt16LE(piece.byteLength, at + 1);
    blocks.writeUInt16LE(~piece.byteLength & 0xffff, at + 3);
    blocks.set(piece, at + 5);
    at += 5 + piece.byteLength;
  }
  blocks.set(FLUSH, at);
  return blocks;
}
