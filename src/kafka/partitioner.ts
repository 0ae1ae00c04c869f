/** The partition that Java producers choose for this key, so that a key stays where it is whoever writes. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}

const SEED = 0x9747_b28c;
const M = 0x5bd1_e995;

/** org.apache.kafka.common.utils.Utils.murmur2, as a signed 32-bit number. kafkajs's own computes with BigInt. */
export function murmur2(bytes: Uint8Array): number {
  const whole = bytes.length - (bytes.length % 4);
  let hash = SEED ^ bytes.length;
  for (let i = 0; i < whole; i += 4) {
    let k = at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16);
    k = Math.imul(k | (at(bytes, i + 3) << 24), M);
    k = Math.imul(k ^ (k >>> 24), M);
    hash = Math.imul(hash, M) ^ k;
  }
  if (whole < bytes.length) {
    // Past the end there are zeros, which change nothing.
    hash ^= at(bytes, whole) | (at(bytes, whole + 1) << 8) | (at(bytes, whole + 2) << 16);
    hash = Math.imul(hash, M);
  }
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
