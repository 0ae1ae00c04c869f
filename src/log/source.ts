/** What the source of a topic (Kafka, or the embedded log itself) says of it now. */
export interface TopicEnds {
  readonly topic: string;
  readonly tag: string;
  /** The first offset that is still there, per partition; undefined where no leader answered. */
  readonly starts: readonly (number | undefined)[];
  /** The offset that is written next, as far as a committed read can see (the last stable offset); undefined where no leader answered. */
  readonly ends: readonly (number | undefined)[];
}

/** Port. Where a topic ends at this moment: the authority for `latest` and for positions beyond the local log. */
export interface EndsSource {
  /**
   * Asks now: the answer is never older than the call. Topics that do not exist are left out.
   * Rejects when no answer came within the source's deadline: no decision may be taken then.
   */
  ends(topics: readonly string[]): Promise<TopicEnds[]>;
}

/** How far a partition has been read into the log. */
export interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  /** The offset that is read next. */
  readonly offset: number;
  readonly highWatermark: number;
  readonly lag: number;
  /** Why it cannot be read now. */
  readonly lastError?: string;
  /** Since when nothing has been heard of it, in milliseconds since 1970; left out while it is read. */
  readonly staleSince?: number;
}

/** How the server and Kafka (or the embedded log) get on. */
export interface SourceStatus {
  readonly mode: "kafka" | "embedded";
  /** Kafka does not answer: what is said of it is of `asOf`. */
  readonly stale?: true;
  /** Milliseconds since 1970. */
  readonly asOf?: number;
  readonly producer: { readonly connected: boolean };
  readonly consumer: {
    readonly connected: boolean;
    readonly groupId: string | null;
    readonly lastError?: string;
    readonly partitions: readonly PartitionStatus[];
  };
}
