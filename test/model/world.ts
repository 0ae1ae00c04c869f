import { createParser, type EventSourceMessage } from "eventsource-parser";
import { Hub } from "../../src/hub/hub.ts";
import type { Sink, Subscriber } from "../../src/hub/subscriber.ts";
import { EventLog } from "../../src/log/event-log.ts";
import type { LogEntry, RecordEntry } from "../../src/log/entry.ts";
import { parsePosition, type Position } from "../../src/log/position.ts";
import type { EndsSource } from "../../src/log/source.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics } from "../../src/metrics.ts";

/** What Kafka would hold: per topic its tag, and per partition its first offset and its end. */
export interface Truth {
  readonly topics: Map<string, { tag: string; ends: number[]; starts: number[] }>;
}

/** Every third record has the type that filtered clients want. */
function typeOf(offset: number): string {
  return offset % 3 === 0 ? "wanted" : "other";
}

/** Payloads are large enough for pages and writes to matter. */
const PADDING = "x".repeat(700);

function recordAt(topic: string, tag: string, partition: number, offset: number): RecordEntry {
  const value = JSON.stringify({ topic, tag, partition, offset, PADDING });
  return {
    kind: "record",
    topic,
    partition,
    offset,
    timestampMs: 1000 + offset,
    timestampType: "create",
    key: null,
    value: Buffer.from(value),
    headers: [["type", Buffer.from(typeOf(offset))]],
  };
}

/** One server: a log and a hub over a truth, fed in whatever order the model says. */
export class Instance {
  readonly #truth: Truth;
  readonly #path: string;
  log: EventLog;
  hub: Hub;

  constructor(truth: Truth, path: string) {
    this.#truth = truth;
    this.#path = path;
    this.log = new EventLog({ path, durable: false, tailBytes: 4000 });
    this.hub = this.#startHub();
    this.noticeTopics();
  }

  /** As after a crash: the log comes back from its file, every stream is gone. */
  restart(): void {
    this.hub[Symbol.dispose]();
    this.log[Symbol.dispose]();
    this.log = new EventLog({ path: this.#path, durable: false, tailBytes: 4000 });
    this.hub = this.#startHub();
  }

  /** Learns of new topics, new partitions and re-created topics. */
  noticeTopics(): void {
    const entries: LogEntry[] = [];
    for (const [topic, { tag, ends }] of this.#truth.topics) {
      const state = this.log.topic(topic);
      const known = state?.tag === tag ? state.offsets : [];
      if (known.length === ends.length) continue;
      entries.push({ kind: "topic", topic, tag, offsets: ends.map((_, p) => known[p] ?? 0) });
    }
    if (entries.length > 0) this.log.append(entries);
  }

  /** Reads up to `count` records of one partition. */
  feed(topic: string, partition: number, count: number): void {
    const truth = this.#truth.topics.get(topic);
    const state = this.log.topic(topic);
    if (!truth || state?.tag !== truth.tag) return;
    const position = state.offsets[partition];
    if (position === undefined) return;
    const from = Math.max(position, truth.starts[partition] ?? 0);
    if (from > position) this.log.append([{ kind: "gap", topic, partition, next: from }]);
    const to = Math.min(truth.ends[partition] ?? 0, from + count);
    const records = Array.from({ length: Math.max(0, to - from) }, (_, i) =>
      recordAt(topic, truth.tag, partition, from + i),
    );
    if (records.length > 0) this.log.append(records);
  }

  catchUp(): void {
    this.noticeTopics();
    for (const [topic, { ends }] of this.#truth.topics) {
      for (const partition of ends.keys()) this.feed(topic, partition, Infinity);
    }
  }

  #startHub(): Hub {
    const hub = new Hub({
      logger: createLogger("silent"),
      metrics: createMetrics(),
      heartbeatMs: 60_000,
      retryMs: 1000,
      flushMs: 0,
      maxAgeMs: 0,
      maxStallMs: 60_000,
      cleanupMs: 60_000,
    });
    const ends: EndsSource = {
      ends: async (topics) =>
        topics.flatMap((topic) => {
          const truth = this.#truth.topics.get(topic);
          return truth
            ? [{ topic, tag: truth.tag, starts: truth.starts, ends: [...truth.ends] }]
            : [];
        }),
    };
    hub.attach({ log: this.log, ends, aheadConfirmMs: 20 });
    return hub;
  }

  [Symbol.dispose](): void {
    this.hub[Symbol.dispose]();
    this.log[Symbol.dispose]();
  }
}

/** A client that checks everything it is told against the truth of what it must get. */
export class Client {
  readonly topics: readonly string[];
  readonly wantsAll: boolean;
  /** The last id, as the standard's client keeps it. */
  lastId = "";
  isLive = false;
  resets: { reason: string; topics: string[] }[] = [];
  #position: Position | undefined;
  readonly #delivered = new Set<string>();
  #instance: Instance | undefined;
  #subscriber: Subscriber | undefined;
  #isPushingBack = false;
  /** Cuts the stream after so many more bytes, in the middle of whatever is under way. */
  #cutAfter = Infinity;
  #connections = 0;

  constructor(topics: readonly string[], wantsAll: boolean) {
    this.topics = topics;
    this.wantsAll = wantsAll;
  }

  get isConnected(): boolean {
    return this.#subscriber !== undefined && !this.#subscriber.isEnded;
  }

  connect(instance: Instance): void {
    this.disconnect();
    this.isLive = false;
    this.#cutAfter = Infinity;
    this.#isPushingBack = false;
    const parser = createParser({ onEvent: (event) => this.#onEvent(event) });
    let isGone = false;
    const connection = (this.#connections += 1);
    const sink: Sink = {
      write: (bytes) => {
        if (isGone) return true;
        const taken = bytes.subarray(0, Math.min(bytes.byteLength, this.#cutAfter));
        this.#cutAfter -= taken.byteLength;
        parser.feed(Buffer.from(taken).toString());
        if (taken.byteLength < bytes.byteLength) {
          isGone = true;
          // The client may be elsewhere by then: what was cut is not its new stream.
          queueMicrotask(() => {
            if (connection === this.#connections) this.disconnect();
          });
        }
        return !this.#isPushingBack;
      },
      end: () => undefined,
      drop: () => undefined,
    };
    this.#instance = instance;
    this.#subscriber = instance.hub.subscribe({
      subscription: {
        topics: this.topics,
        types: this.wantsAll ? undefined : { exact: new Set(["wanted"]), prefixes: [] },
        keys: undefined,
        channels: new Set(),
        encoding: "plain",
      },
      identity: { clientId: "c", user: undefined, username: undefined },
      start: {
        lastEventId: this.lastId || undefined,
        since: "earliest",
        recent: undefined,
        per: undefined,
      },
      sink,
      expiresAtMs: Infinity,
      onEnded: () => undefined,
    });
  }

  disconnect(): void {
    if (this.#subscriber) this.#instance?.hub.onGone(this.#subscriber);
    this.#subscriber = undefined;
  }

  cutAfter(bytes: number): void {
    this.#cutAfter = bytes;
  }

  pushBack(isOn: boolean): void {
    this.#isPushingBack = isOn;
    if (!isOn && this.#subscriber) this.#instance?.hub.onDrain(this.#subscriber);
  }

  /** What was wrong, kept for the model to see: thrown here, it would hit the hub. */
  failure: Error | undefined;

  #onEvent(message: EventSourceMessage): void {
    try {
      this.#check(message);
    } catch (error) {
      this.failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #check({ event, data, id }: EventSourceMessage): void {
    if (event === "wanted" || event === "other") this.#onRecord(data);
    if (event === "live") this.isLive = true;
    if (event === "reset") this.#onReset(data);
    if (id) this.#onId(id);
  }

  #onRecord(data: string): void {
    // The cast holds: the model makes all records.
    const { topic, tag, partition, offset } = JSON.parse(data) as Record<"topic" | "tag", string> &
      Record<"partition" | "offset", number>;
    const name = `${topic}/${tag}/${partition}/${offset}`;
    if (!this.#wants(offset)) throw new Error(`${name} was not asked for`);
    const part = this.#position?.get(topic);
    if (part && part.tag !== tag) throw new Error(`${name} is of another incarnation`);
    if (offset < (part?.offsets[partition] ?? 0) || this.#delivered.has(name)) {
      throw new Error(`${name} came twice, or out of order`);
    }
    this.#delivered.add(name);
  }

  #onReset(text: string): void {
    const reset = JSON.parse(text) as { reason: string; topics: string[]; position: string };
    this.resets.push(reset);
    const to = parsePosition(reset.position);
    if (!to) throw new Error(`A reset to ${reset.position}`);
    for (const topic of reset.topics) {
      const before = this.#position?.get(topic);
      const after = to.get(topic);
      const isTrue =
        reset.reason === "recreated"
          ? before?.tag !== after?.tag
          : before?.tag === after?.tag &&
            after?.offsets.some((offset, p) => (before?.offsets[p] ?? 0) < offset);
      if (!isTrue) throw new Error(`The reset ${text} is not true at ${this.lastId}`);
      // What came of the topic before counts no more.
      for (const name of this.#delivered) {
        if (name.startsWith(`${topic}/`)) this.#delivered.delete(name);
      }
    }
    this.#position = new Map([
      ...(this.#position ?? []),
      ...[...to].filter(([topic]) => reset.topics.includes(topic)),
    ]);
  }

  /** An id claims that everything before it was delivered, and nothing less than the one before. */
  #onId(id: string): void {
    const position = parsePosition(id);
    if (!position) throw new Error(`Malformed id ${id}`);
    for (const [topic, { tag, offsets }] of position) {
      const before = this.#position?.get(topic);
      if (!this.#position) continue;
      if (before?.tag !== tag) throw new Error(`${id} changes a tag without a reset`);
      for (const [partition, offset] of offsets.entries()) {
        const from = before.offsets[partition] ?? 0;
        if (offset < from) throw new Error(`${id} goes back behind ${this.lastId}`);
        for (let at = from; at < offset; at += 1) {
          if (!this.#wants(at)) continue;
          const name = `${topic}/${tag}/${partition}/${at}`;
          if (!this.#delivered.delete(name))
            throw new Error(`${id} claims ${name}, which never came`);
        }
      }
    }
    this.#position = position;
    this.lastId = id;
  }

  #wants(offset: number): boolean {
    return this.wantsAll || typeOf(offset) === "wanted";
  }

  /** Whether the client has all that the truth holds. */
  hasAll(truth: Truth): boolean {
    return this.topics.every((topic) => {
      const part = this.#position?.get(topic);
      const now = truth.topics.get(topic);
      if (!now || part?.tag !== now.tag) return false;
      return now.ends.every((end, p) => {
        for (let at = part.offsets[p] ?? 0; at < end; at += 1) if (this.#wants(at)) return false;
        return true;
      });
    });
  }
}
