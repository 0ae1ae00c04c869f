/**
 * Reads Kafka's primitive types in turn [kafka.apache.org/protocol#protocol_types]. Every method
 * throws RangeError where the bytes end too early.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#at;
  }

  int8(): number {
    return this.#view.getInt8(this.#forward(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#forward(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#forward(4));
  }

  uint32(): number {
    return this.#view.getUint32(this.#forward(4));
  }

  /** Exact up to 2^53, which is more records than a partition ever holds. */
  int64(): number {
    return Number(this.#view.getBigInt64(this.#forward(8)));
  }

  /** For identities, which are compared and not counted. */
  bigint64(): bigint {
    return this.#view.getBigInt64(this.#forward(8));
  }

  unsignedVarint(): number {
    let value = 0;
    // A multiplication, because shifts end at 32 bits and VARLONG goes to 64.
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = this.int8();
      value += (byte & 0x7f) * scale;
      if (byte >= 0) return value;
    }
    throw new RangeError("A variable-length number has more than ten bytes");
  }

  /** VARINT and VARLONG: zigzag. */
  varint(): number {
    const value = this.unsignedVarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const start = this.#forward(length);
    return this.#bytes.subarray(start, start + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** COMPACT_BYTES, COMPACT_RECORDS and their nullable kin. */
  compactBytes(): Uint8Array | null {
    const length = this.unsignedVarint();
    return length === 0 ? null : this.bytes(length - 1);
  }

  compactString(): string | null {
    const bytes = this.compactBytes();
    return bytes === null ? null : utf8.decode(bytes);
  }

  /** COMPACT_ARRAY; null reads as empty. */
  compactArray<T>(readItem: () => T): T[] {
    const items: T[] = [];
    for (let left = this.unsignedVarint() - 1; left > 0; left -= 1) items.push(readItem());
    return items;
  }

  /** Passes over the tagged fields that end every structure of a flexible version (KIP-482). */
  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left -= 1) {
      this.unsignedVarint();
      this.bytes(this.unsignedVarint());
    }
  }

  #forward(length: number): number {
    const start = this.#at;
    if (length < 0 || length > this.remaining) {
      throw new RangeError(`${length} bytes wanted, ${this.remaining} left`);
    }
    this.#at += length;
    return start;
  }
}

/** Writes Kafka's primitive types in turn. */
export class ByteWriter {
  #buffer = Buffer.alloc(256);
  #length = 0;

  int8(value: number): this {
    const at = this.#grow(1);
    this.#buffer.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    const at = this.#grow(8);
    this.#buffer.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  unsignedVarint(value: number): this {
    let rest = value;
    const digits: number[] = [];
    for (; rest >= 128; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128);
    return this.bytes(Uint8Array.of(...digits, rest));
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.byteLength);
    this.#buffer.set(value, at);
    return this;
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value);
    return this.unsignedVarint(bytes.byteLength + 1).bytes(bytes);
  }

  compactArray<T>(items: readonly T[], writeItem: (item: T) => void): this {
    this.unsignedVarint(items.length + 1);
    for (const item of items) writeItem(item);
    return this;
  }

  /** The end of a structure without tagged fields. */
  noTags(): this {
    return this.unsignedVarint(0);
  }

  /** What was written. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Makes room, in another buffer perhaps: call it before `#buffer` is read. */
  #grow(length: number): number {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.byteLength) {
      const larger = Buffer.alloc(this.#length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    return start;
  }
}

const utf8 = new TextDecoder();
