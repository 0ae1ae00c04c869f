import { HeadgateError } from "../errors.ts";
import type { Metrics } from "../metrics.ts";
import type { RecordEntry } from "./entry.ts";
import type { EventLog } from "./event-log.ts";
import { tagOfUuid } from "./position.ts";
import type { Coordinates, OutgoingRecord, Publisher } from "./publisher.ts";
import type { EndsSource, TopicEnds } from "./source.ts";

/** Makes the topics that the embedded log does not have yet: one partition each, with a tag of its own. */
export function createEmbeddedTopics(log: EventLog, topics: readonly string[]): void {
  const missing = topics.filter((topic) => !log.topic(topic));
  log.append(
    missing.map((topic) => {
      const tag = tagOfUuid(crypto.getRandomValues(new Uint8Array(16)));
      return { kind: "topic", topic, tag, offsets: [0] };
    }),
  );
}

/** The embedded log is its own authority on where topics end. */
export function embeddedEnds(log: EventLog): EndsSource {
  return {
    ends: async (topics) =>
      topics.flatMap((topic): TopicEnds[] => {
        const state = log.topic(topic);
        const starts = log.floor(topic)?.offsets ?? [];
        return state ? [{ topic, tag: state.tag, starts, ends: state.offsets }] : [];
      }),
  };
}

interface Waiting {
  readonly records: readonly OutgoingRecord[];
  readonly resolve: (coordinates: Coordinates[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Publishes into the embedded log: all that came in one turn of the event loop in one synced transaction. */
export class EmbeddedPublisher implements Publisher {
  readonly #log: EventLog;
  readonly #metrics: Metrics;
  readonly #now: () => number;
  #waiting: Waiting[] = [];
  #isClosed = false;

  constructor(options: { log: EventLog; metrics: Metrics; now?: () => number }) {
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#now = options.now ?? Date.now;
  }

  publish(records: readonly OutgoingRecord[]): Promise<Coordinates[]> {
    if (this.#isClosed) {
      return Promise.reject(
        new HeadgateError("shutting-down", "The server is stopping", { mayBeStored: false }),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Coordinates[]>();
    if (this.#waiting.length === 0) setImmediate(() => this.flush());
    this.#waiting.push({ records, resolve, reject });
    return promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.flush();
  }

  isConnected(): boolean {
    return !this.#isClosed && !this.#log.fault;
  }

  /** Stores what waits now. While turns are long, publishes would else miss the one that comes next. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) return;
    const next = new Map<string, number>();
    const timestampMs = this.#now();
    const entries: RecordEntry[] = [];
    const coordinates = waiting.map(({ records }) =>
      records.map((record): Coordinates => {
        const { topic } = record;
        const offset = next.get(topic) ?? this.#log.topic(topic)?.offsets[0] ?? 0;
        next.set(topic, offset + 1);
        entries.push({
          kind: "record",
          partition: 0,
          offset,
          timestampMs,
          timestampType: "create",
          ...record,
        });
        return { topic, partition: 0, offset };
      }),
    );
    try {
      this.#log.append(entries);
      this.#metrics.published.inc({ result: "ok" }, entries.length);
      this.#metrics.recordsAppended.inc(entries.length);
      for (const [i, { resolve }] of waiting.entries()) resolve(coordinates[i] ?? []);
    } catch (error) {
      this.#metrics.published.inc({ result: "failed" }, entries.length);
      for (const { reject } of waiting) reject(error);
    }
  }
}
