import type { Logger } from "../logger.ts";
import type { EventLog } from "../log/event-log.ts";
import type { Metrics } from "../metrics.ts";
import type { Brokers } from "./brokers.ts";
import type { FeedAppender } from "./feed-appender.ts";

/** What a feed is made with. */
export interface KafkaFeedSettings {
  /** The served topics. */
  readonly topics: readonly string[];
  readonly log: EventLog;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Makes topics that are missing at the start; a replication factor of -1 is the broker's default. */
  readonly createTopics?: { readonly partitions: number; readonly replicationFactor: number };
  /** How far back a topic is read that the log does not know yet: the lesser of the two. */
  readonly retentionMs: number;
  readonly maxBytes: number;
  /** Larger records become `skipped` entries. */
  readonly maxEventBytes: number;
}

/** What the parts of one feed share. */
export interface FeedContext extends KafkaFeedSettings {
  readonly brokers: Brokers;
  readonly appender: FeedAppender;
  /** How long an answer is waited for at present. */
  readonly patienceMs: () => number;
  /** Keeps an error for the status; nothing else follows from it. */
  readonly note: (error: unknown) => void;
}
