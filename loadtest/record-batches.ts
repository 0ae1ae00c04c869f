import { Brokers } from "../src/kafka/brokers.ts";
import { crc32c } from "../src/kafka/crc32c.ts";
import type { KafkaRequest } from "../src/kafka/requests.ts";
import { createLogger } from "../src/logger.ts";

/** Writes record batches to the partitions of one topic. */
export interface BatchProducer extends Disposable {
  /** Resolves when all replicas have the values, in one batch; batches for a partition keep the order of the calls. */
  send(partition: number, values: readonly string[], timestampMs: number): Promise<void>;
}

/**
 * Makes batches itself and writes them over the server's own connections: kafkajs takes some ten
 * microseconds a record, which at 50,000 records a second is half a core that the broker needs.
 */
export async function openBatchProducer(broker: string, topic: string): Promise<BatchProducer> {
  const config = { brokers: [broker], clientId: "load-producer", groupId: "load-producer" };
  const brokers = new Brokers(config, createLogger("silent"));
  const { topics } = await brokers.metadata([topic], ANSWER_MS);
  const leaders = topics[0]?.partitions.map(({ leader }) => leader) ?? [];
  return {
    send: async (partition, values, timestampMs) => {
      const request = produce(topic, partition, encodeBatch(values, timestampMs));
      const error = await brokers.send(leaders[partition] ?? -1, request, "control", ANSWER_MS);
      if (error !== 0) throw new Error(`Kafka refused a batch, code ${error}`);
    },
    [Symbol.dispose]: () => brokers.close(),
  };
}

const ANSWER_MS = 30_000;
const ALL_REPLICAS = -1;

/** Produce v9 of one batch; decodes to the error code. */
function produce(topic: string, partition: number, batch: Uint8Array): KafkaRequest<number> {
  return {
    apiKey: 0,
    apiVersion: 9,
    apiName: "Produce",
    encode: (to) => {
      // No transaction.
      to.noTags().unsignedVarint(0).int16(ALL_REPLICAS).int32(ANSWER_MS);
      to.compactArray([topic], (name) => {
        to.compactString(name).compactArray([batch], (bytes) =>
          to
            .int32(partition)
            .unsignedVarint(bytes.byteLength + 1)
            .bytes(bytes)
            .noTags(),
        );
        to.noTags();
      }).noTags();
    },
    decode: (from) => {
      from.skipTags();
      const [error] = from.compactArray(() => {
        from.compactString();
        // What follows the first partition's code is not needed, and may be left unread.
        return from.compactArray(() => (from.int32(), from.int16()))[0];
      });
      return error ?? -1;
    },
  };
}

const HEADER_BYTES = 61;
/** Length, attributes, two deltas, no key, the value's length, no headers: at most so much. */
const RECORD_OVERHEAD_BYTES = 32;

/** A batch of records with values of ASCII, no keys and no headers [kafka.apache.org/documentation#recordbatch]. */
function encodeBatch(values: readonly string[], timestampMs: number): Uint8Array {
  const room = values.reduce((sum, value) => sum + value.length + RECORD_OVERHEAD_BYTES, 0);
  const batch = Buffer.alloc(HEADER_BYTES + room);
  let at = HEADER_BYTES;
  const varint = (value: number): void => {
    let rest = value * 2;
    for (; rest >= 128; rest = Math.floor(rest / 128)) batch[at++] = (rest % 128) + 128;
    batch[at++] = rest;
  };
  for (const [index, value] of values.entries()) {
    const fixed = 1 + 1 + varintBytes(index) + 1 + varintBytes(value.length) + 1;
    varint(fixed + value.length);
    varint(0);
    varint(0);
    varint(index);
    // A key's length of -1.
    batch[at++] = 1;
    varint(value.length);
    at += batch.write(value, at, "latin1");
    varint(0);
  }
  batch.writeInt32BE(at - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt32BE(values.length - 1, 23);
  batch.writeBigInt64BE(BigInt(timestampMs), 27);
  batch.writeBigInt64BE(BigInt(timestampMs), 35);
  // No producer id, no epoch, no sequence.
  batch.fill(0xff, 43, 57);
  batch.writeInt32BE(values.length, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(21, at)), 17);
  return batch.subarray(0, at);
}

function varintBytes(value: number): number {
  return value < 64 ? 1 : value < 8_192 ? 2 : 3;
}
