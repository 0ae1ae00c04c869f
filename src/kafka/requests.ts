import { ByteReader, ByteWriter } from "./wire.ts";

/**
 * One exchange with a broker, in a flexible version (KIP-482). The versions are those that name
 * topics by id, of Kafka 3.1 and later: under a name alone, a topic that was made again could be
 * read on from the old topic's position before anybody notices.
 */
export interface KafkaRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  encode(to: ByteWriter): void;
  decode(from: ByteReader): T;
}

/** Kafka's error codes that somebody here acts on [kafka.apache.org/protocol#protocol_error_codes]. */
export const KafkaErrorCode = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  topicAlreadyExists: 36,
} as const;

/** What a cluster says of itself. */
export interface ClusterMetadata {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly { id: number; host: string; port: number }[];
  readonly topics: readonly TopicMetadata[];
}

/** One topic; `error` is not 0 where it does not exist or is not ours to see. */
export interface TopicMetadata {
  readonly error: number;
  readonly name: string;
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly partitions: readonly PartitionMetadata[];
}

export interface PartitionMetadata {
  readonly partition: number;
  /** -1 where nobody leads. */
  readonly leader: number;
  readonly leaderEpoch: number;
}

/** ListOffsets' special timestamps. */
export const LATEST = -1;
export const EARLIEST = -2;

/** What is asked of one partition, under the leader epoch that the asker knows (KIP-320). */
export interface OffsetQuestion {
  readonly topic: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  /** Milliseconds since 1970, LATEST or EARLIEST. */
  readonly timestampMs: number;
}

export interface OffsetAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  /** -1 where no record is that young. */
  readonly offset: number;
}

export interface FetchQuestion {
  readonly topicId: Uint8Array;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly offset: number;
}

export interface FetchAnswer {
  readonly topicId: Uint8Array;
  readonly partition: number;
  readonly error: number;
  readonly highWatermark: number;
  /** Before it every transaction is decided: a committed read ends here. */
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly records: Uint8Array | null;
}

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** How much a fetch waits for and brings. */
export interface FetchLimits {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
}

const READ_COMMITTED = 1;
const NOBODY = -1;
const NO_ID = new Uint8Array(16);

/** ApiVersions v0: the one request that every broker answers. */
export const apiVersions: KafkaRequest<Map<number, { min: number; max: number }>> = {
  apiKey: 18,
  apiVersion: 0,
  apiName: "ApiVersions",
  encode: () => undefined,
  decode: (from) => {
    from.int16();
    const versions = new Map<number, { min: number; max: number }>();
    for (let left = from.int32(); left > 0; left -= 1) {
      versions.set(from.int16(), { min: from.int16(), max: from.int16() });
    }
    return versions;
  },
};

/** Metadata v12: brokers, and the ids, partitions and leaders of these topics. */
export function metadata(topics: readonly string[]): KafkaRequest<ClusterMetadata> {
  return {
    apiKey: 3,
    apiVersion: 12,
    apiName: "Metadata",
    encode: (to) => {
      to.noTags().compactArray(topics, (name) => to.bytes(NO_ID).compactString(name).noTags());
      to.int8(0).int8(0).noTags();
    },
    decode: (from) => {
      from.skipTags();
      from.int32();
      const brokers = from.compactArray(() => {
        const broker = { id: from.int32(), host: from.compactString() ?? "", port: from.int32() };
        from.compactString();
        from.skipTags();
        return broker;
      });
      const clusterId = from.compactString() ?? "";
      const controllerId = from.int32();
      return { clusterId, controllerId, brokers, topics: from.compactArray(() => topicOf(from)) };
    },
  };
}

/** ListOffsets v6, at most one question a partition. */
export function listOffsets(questions: readonly OffsetQuestion[]): KafkaRequest<OffsetAnswer[]> {
  const topics = Map.groupBy(questions, ({ topic }) => topic);
  return {
    apiKey: 2,
    apiVersion: 6,
    apiName: "ListOffsets",
    encode: (to) => {
      to.noTags().int32(NOBODY).int8(READ_COMMITTED);
      to.compactArray([...topics], ([topic, partitions]) => {
        to.compactString(topic);
        to.compactArray(partitions, ({ partition, leaderEpoch, timestampMs }) =>
          to.int32(partition).int32(leaderEpoch).int64(timestampMs).noTags(),
        ).noTags();
      }).noTags();
    },
    decode: (from) => {
      from.skipTags();
      from.int32();
      return from
        .compactArray(() => {
          const topic = from.compactString() ?? "";
          const answers = from.compactArray(() => {
            const partition = from.int32();
            const error = from.int16();
            from.int64();
            const offset = from.int64();
            from.int32();
            from.skipTags();
            return { topic, partition, error, offset };
          });
          from.skipTags();
          return answers;
        })
        .flat();
    },
  };
}

/** Fetch v13 of committed records, without a fetch session. */
export function fetchRecords(
  questions: readonly FetchQuestion[],
  { maxWaitMs, maxBytes, maxPartitionBytes }: FetchLimits,
): KafkaRequest<FetchAnswer[]> {
  const topics = Map.groupBy(questions, ({ topicId }) => Buffer.from(topicId).toString("hex"));
  return {
    apiKey: 1,
    apiVersion: 13,
    apiName: "Fetch",
    encode: (to) => {
      to.noTags().int32(NOBODY).int32(maxWaitMs).int32(1).int32(maxBytes).int8(READ_COMMITTED);
      to.int32(0).int32(-1);
      to.compactArray([...topics], ([id, partitions]) => {
        to.bytes(Buffer.from(id, "hex"));
        to.compactArray(partitions, ({ partition, leaderEpoch, offset }) => {
          to.int32(partition).int32(leaderEpoch).int64(offset).int32(-1).int64(-1);
          to.int32(maxPartitionBytes).noTags();
        }).noTags();
      });
      to.compactArray([], () => undefined);
      to.compactString("").noTags();
    },
    decode: (from) => {
      from.skipTags();
      from.int32();
      const error = from.int16();
      if (error !== KafkaErrorCode.none) throw new Error(`Kafka refused to fetch, code ${error}`);
      from.int32();
      return from
        .compactArray(() => {
          const topicId = from.bytes(16);
          const answers = from.compactArray(() => fetchAnswerOf(topicId, from));
          from.skipTags();
          return answers;
        })
        .flat();
    },
  };
}

/** CreateTopics v5; -1 stands for the broker's own default. */
export function createTopics(
  names: readonly string[],
  { partitions, replicationFactor }: { partitions: number; replicationFactor: number },
  timeoutMs: number,
): KafkaRequest<{ name: string; error: number; message: string }[]> {
  return {
    apiKey: 19,
    apiVersion: 5,
    apiName: "CreateTopics",
    encode: (to) => {
      to.noTags().compactArray(names, (name) => {
        to.compactString(name).int32(partitions).int16(replicationFactor);
        to.compactArray([], () => undefined).compactArray([], () => undefined);
        to.noTags();
      });
      to.int32(timeoutMs).int8(0).noTags();
    },
    decode: (from) => {
      from.skipTags();
      from.int32();
      return from.compactArray(() => {
        const name = from.compactString() ?? "";
        const error = from.int16();
        const message = from.compactString() ?? "";
        from.int32();
        from.int16();
        from.compactArray(() => {
          from.compactString();
          from.compactString();
          from.bytes(3);
          from.skipTags();
        });
        from.skipTags();
        return { name, error, message };
      });
    },
  };
}

function topicOf(from: ByteReader): TopicMetadata {
  const error = from.int16();
  const name = from.compactString() ?? "";
  // A copy: Buffer.slice would pin the response.
  const id = new Uint8Array(from.bytes(16));
  from.int8();
  const partitions = from.compactArray(() => {
    from.int16();
    const found = { partition: from.int32(), leader: from.int32(), leaderEpoch: from.int32() };
    for (let list = 0; list < 3; list += 1) from.compactArray(() => from.int32());
    from.skipTags();
    return found;
  });
  from.int32();
  from.skipTags();
  return {
    error,
    name,
    id,
    partitions: partitions.toSorted((one, other) => one.partition - other.partition),
  };
}

function fetchAnswerOf(topicId: Uint8Array, from: ByteReader): FetchAnswer {
  const answer = {
    topicId,
    partition: from.int32(),
    error: from.int16(),
    highWatermark: from.int64(),
    lastStableOffset: from.int64(),
    logStartOffset: from.int64(),
    aborted: from.compactArray(() => {
      const transaction = { producerId: from.bigint64(), firstOffset: from.int64() };
      from.skipTags();
      return transaction;
    }),
    records: (from.int32(), from.compactBytes()),
  };
  from.skipTags();
  return answer;
}
