import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import { CompressionCodecs } from "kafkajs";
import createSnappy from "kafkajs-snappy";
import lz4 from "lz4js";
import { ByteReader } from "./wire.ts";

/**
 * What a batch may grow to when it is decompressed. A producer can send a megabyte that unfolds
 * into gigabytes; brokers check the compressed size only.
 */
const MAX_BATCH_BYTES = 64 << 20;

const unzip = promisify(gunzip);
const unzstd = promisify(zstdDecompress);
const snappy = createSnappy();

/**
 * The records of a batch whose attributes name this codec: 1 gzip, 2 snappy, 3 lz4, 4 zstd.
 * @throws whatever the codec throws on bytes that it cannot read, and on an unknown codec.
 */
export async function decompress(codec: number, bytes: Uint8Array): Promise<Uint8Array> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (codec) {
    case 0:
      return bytes;
    case 1:
      return await unzip(buffer, { maxOutputLength: MAX_BATCH_BYTES });
    case 2:
      refuseAbove(snappyBound(buffer));
      return await snappy.decompress(buffer);
    case 3:
      refuseAbove(lz4.decompressBound(buffer));
      return lz4.decompress(buffer);
    case 4:
      return await unzstd(buffer, { maxOutputLength: MAX_BATCH_BYTES });
    default:
      throw new Error(`Compression ${codec} is not known`);
  }
}

let registered = false;

/** Registers all of Kafka's codecs for reading; kafkajs knows gzip only, and its consumers die of the others. */
export function registerCodecs(): void {
  if (registered) return;
  registered = true;
  const codecs: Record<number, () => unknown> = CompressionCodecs;
  for (const codec of [2, 3, 4]) codecs[codec] = () => readingCodec(codec);
}

function readingCodec(codec: number): unknown {
  return {
    // Published events are few and small; lz4js also writes frames that brokers refuse.
    compress: () => Promise.reject(new Error("Nothing is compressed here")),
    decompress: async (bytes: Buffer) => Buffer.from(await decompress(codec, bytes)),
  };
}

function refuseAbove(bytes: number): void {
  if (bytes > MAX_BATCH_BYTES) throw new Error(`A batch unfolds to ${bytes} bytes`);
}

const XERIAL = Buffer.from([130, 83, 78, 65, 80, 80, 89, 0]);
const XERIAL_HEADER_BYTES = 16;

/** What snappy would allocate: each block begins with its length. Java frames blocks (xerial), others send one. */
function snappyBound(buffer: Buffer): number {
  if (!buffer.subarray(0, XERIAL.byteLength).equals(XERIAL)) {
    return new ByteReader(buffer).unsignedVarint();
  }
  const reader = new ByteReader(buffer.subarray(XERIAL_HEADER_BYTES));
  let bound = 0;
  while (reader.remaining > 0) {
    bound += new ByteReader(reader.bytes(reader.int32())).unsignedVarint();
  }
  return bound;
}
