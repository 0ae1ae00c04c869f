declare module "kafkajs-snappy" {
  /** Makes the codec that kafkajs registers. */
  const createSnappy: () => {
    compress(encoder: { buffer: Buffer }): Promise<Buffer>;
    decompress(bytes: Buffer): Promise<Buffer>;
  };
  export default createSnappy;
}

declare module "lz4js" {
  const lz4: {
    compress(bytes: Uint8Array): Uint8Array;
    decompress(bytes: Uint8Array): Uint8Array;
  };
  export default lz4;
}
