import { CompressionCodecs, CompressionTypes } from "kafkajs";
import createSnappy from "kafkajs-snappy";
import lz4 from "lz4js";

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
}

let registered = false;

/** Registers all of Kafka's codecs; kafkajs knows gzip only, and dies of the others. */
export function registerCodecs(): void {
  if (registered) return;
  registered = true;
  const codecs: Record<number, () => unknown> = CompressionCodecs;
  const snappy: Codec = createSnappy();
  codecs[CompressionTypes.Snappy] = () => snappy;
  codecs[CompressionTypes.LZ4] = () => LZ4;
  codecs[CompressionTypes.ZSTD] = () => ZSTD;
}

const LZ4: Codec = {
  compress: ({ buffer }) => Promise.resolve(Buffer.from(lz4.compress(buffer))),
  decompress: (bytes) => Promise.resolve(Buffer.from(lz4.decompress(bytes))),
};

const ZSTD: Codec = {
  compress: ({ buffer }) => Bun.zstdCompress(buffer),
  decompress: (bytes) => Bun.zstdDecompress(bytes),
};
