import { crc32 } from "node:zlib";

/** [RFC 1952 §8] The CRC's polynomial, its bits reversed, as they are in all of these numbers. */
const POLYNOMIAL = 0xedb88320 | 0;

/** The polynomial 1. */
const ONE = 1 << 31;

/** x^(2^k) for each k. */
const SQUARES = squares();

/** A pass over this many bytes takes as long as a table does. */
const TABLE_WORTH_BYTES = 32_768;

/** A pass over no bytes takes as long as this many more. */
const PASS_WORTH_BYTES = 1024;

/**
 * CRCs of many streams to which the same bytes are appended one after another. The first few pay a
 * pass over the bytes each; further ones share a table, and pay four look-ups: what was in a stream
 * before changes its CRC by a linear function, which depends on nothing but the number of bytes that follow.
 */
export class SharedCrc {
  #bytes: Uint8Array = new Uint8Array();
  #crc = 0;
  /** What passes over these bytes have cost so far. */
  #passedBytes = 0;
  #hasTable = false;
  /** What the function makes of each value of each byte of a CRC. One table only: it is used up in one go. */
  readonly #table = new Int32Array(4 * 256);

  /** The CRC of a stream whose CRC was `crc` once it holds `bytes` as well, which must not change any more. */
  append(crc: number, bytes: Uint8Array): number {
    if (bytes !== this.#bytes) this.#begin(bytes);
    if (!this.#hasTable) {
      this.#passedBytes += bytes.byteLength + PASS_WORTH_BYTES;
      if (this.#passedBytes <= TABLE_WORTH_BYTES) return crc32(bytes, crc >>> 0) | 0;
      this.#makeTable();
    }
    const table = this.#table;
    // The indexes are below 1,024, whatever the CRC.
    return (
      (table[crc & 0xff] ?? 0) ^
      (table[256 | ((crc >>> 8) & 0xff)] ?? 0) ^
      (table[512 | ((crc >>> 16) & 0xff)] ?? 0) ^
      (table[768 | (crc >>> 24)] ?? 0) ^
      this.#crc
    );
  }

  #begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    // The first pass is free: without a second one a table were for nothing.
    this.#passedBytes = -bytes.byteLength;
    this.#hasTable = false;
  }

  #makeTable(): void {
    this.#crc = crc32(this.#bytes) | 0;
    fillTable(this.#table, shiftOf(this.#bytes.byteLength));
    this.#hasTable = true;
  }
}

/** x^(8 · length): a CRC times this is what it is worth that many bytes later. */
function shiftOf(length: number): number {
  let product = ONE;
  for (let k = 3, rest = length; rest > 0; k += 1, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) product = multiply(SQUARES[k % 32] ?? 0, product);
  }
  return product;
}

/** The products of `shift` and every number of one byte, at each of the four places. */
function fillTable(table: Int32Array, shift: number): void {
  let product = shift;
  for (let bit = 31; bit >= 0; bit -= 1) {
    const byte = (bit >>> 3) * 256;
    const power = 1 << (bit & 7);
    // Those of the higher bits are there: the lower ones of their indexes are 0.
    for (let value = power; value < 256; value += 2 * power) {
      table[byte + value] = (table[byte + value - power] ?? 0) ^ product;
    }
    product = timesX(product);
  }
}

function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = timesX(factor);
  }
  return product;
}

function timesX(a: number): number {
  return (a & 1) === 0 ? a >>> 1 : (a >>> 1) ^ POLYNOMIAL;
}

function squares(): Int32Array {
  const powers = new Int32Array(32);
  let power = ONE >>> 1;
  for (let k = 0; k < powers.length; k += 1) {
    powers[k] = power;
    power = multiply(power, power);
  }
  return powers;
}
