import { Aggregator, type AggregatorOptions } from "../../src/aggregate/aggregator.ts";
import type { LogEntry, RecordEntry } from "../../src/log/entry.ts";
import type { EventLog } from "../../src/log/event-log.ts";
import { createLogger } from "../../src/logger.ts";
import { until } from "./feed.ts";

/** An hour that all windows' steps begin with. */
export const HOUR = 1_800_000_000_000;

/** What a record to count is made of. */
export interface RecordParts {
  readonly type?: string;
  readonly timestampMs?: number;
  readonly key?: string;
  /** A text or bytes as they are, null for a tombstone, all else as JSON. */
  readonly data?: unknown;
}

/** A record of a topic's partition 0. */
export function recordAt(topic: string, offset: number, parts: RecordParts = {}): RecordEntry {
  const { type, timestampMs = -1, key, data = {} } = parts;
  const bytes = (): Uint8Array =>
    data instanceof Uint8Array
      ? data
      : Buffer.from(typeof data === "string" ? data : JSON.stringify(data));
  return {
    kind: "record",
    topic,
    partition: 0,
    offset,
    timestampMs,
    timestampType: "create",
    key: key === undefined ? null : Buffer.from(key),
    value: data === null ? null : bytes(),
    headers: type === undefined ? [] : [["type", Buffer.from(type)]],
  };
}

/** Puts records behind those that a topic has; makes the topic where it is not there. */
export function appendRecords(log: EventLog, topic: string, ...records: RecordParts[]): void {
  const made: LogEntry[] = log.topic(topic)
    ? []
    : [{ kind: "topic", topic, tag: "a", offsets: [0] }];
  const next = log.topic(topic)?.offsets[0] ?? 0;
  log.append([...made, ...records.map((record, i) => recordAt(topic, next + i, record))]);
}

/** All of a work in one turn of the event loop. */
export const AT_ONCE: AggregatorOptions["turns"] = {
  add: (step) => {
    while (step());
  },
  run: async (work) => finish(work),
};

/** An aggregator that looks all the time and works at once. */
export function startAggregator(
  options: Partial<AggregatorOptions> & { readonly log: EventLog },
): Aggregator {
  return new Aggregator({
    turns: AT_ONCE,
    topics: ["t"],
    fields: [],
    dashboardTopic: undefined,
    logger: createLogger("silent"),
    pollMs: 1,
    saveMs: 0,
    ...options,
  });
}

/** What a work comes to, in one go. */
export function finish<T>(work: Generator<void, T, void>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Waits until all of the log is counted, and that is saved. */
export async function settled(log: EventLog, aggregator: Aggregator): Promise<void> {
  await until(() => aggregator.lag() === 0 && savedSeq(log) === log.headSeq);
}

/** Up to which entry what is stored is counted. */
export function savedSeq(log: EventLog): number {
  const [, text = '{"seq":-1}'] = log.kept.all().find(([name]) => name === "position") ?? [];
  return Number(JSON.parse(text).seq);
}
