import { createHash } from "node:crypto";
import { HeadgateError } from "../errors.ts";
import { recordBytes } from "../log/entry.ts";
import type { ReadableLog } from "../log/readable-log.ts";
import { markHeader } from "../log/idempotency.ts";
import type { Coordinates, OutgoingRecord } from "../log/publisher.ts";
import type { Metrics } from "../metrics.ts";

export interface IdempotentOptions {
  /** undefined while the server is not ready. */
  readonly log: () => ReadableLog | undefined;
  readonly publish: (records: readonly OutgoingRecord[]) => Promise<readonly Coordinates[]>;
  /** How long the own feed may take to bring a record back; beyond that it is not waited for. */
  readonly waitMs: number;
  readonly metrics: Pick<Metrics, "published">;
}

export interface IdempotentResult {
  readonly events: readonly Coordinates[];
  /** Whether all of it had been published before. */
  readonly isDuplicate: boolean;
}

const POLL_MS = 2;

/**
 * Repeats of a key that is under way wait outside of the publisher's queue, each with its body: a
 * bound of their own keeps them from holding as much as there are connections.
 */
const MAX_HELD_BYTES = 16 << 20;
/** What a record costs beside its bytes, roughly. */
const RECORD_OVERHEAD_BYTES = 256;

/** Stands for a publisher and its key; the key itself is nobody else's to read. */
export function digestOf(publisher: string, key: string): string {
  return createHash("sha256")
    .update(JSON.stringify([publisher, key]))
    .digest("base64url");
}

/** The records with the marks by which every log knows them again. */
export function markRecords(records: readonly OutgoingRecord[], digest: string): OutgoingRecord[] {
  const count = records.length;
  return records.map((record, index) => ({
    ...record,
    headers: [...record.headers, markHeader({ digest, index, count })],
  }));
}

/**
 * Publishes under idempotency keys: what the log holds already is not published again, and its
 * coordinates are returned. A publish of which only a part was stored is completed.
 */
export class IdempotentPublishing {
  readonly #options: IdempotentOptions;
  /** Under way in this process: bounded by the requests that are open. */
  readonly #running = new Map<string, Promise<IdempotentResult>>();
  #heldBytes = 0;

  constructor(options: IdempotentOptions) {
    this.#options = options;
  }

  /**
   * @param records as `markRecords` made them for this digest.
   * @throws HeadgateError `publish-queue-full`, `not-ready`, or what `publish` rejects with.
   */
  async publish(digest: string, records: readonly OutgoingRecord[]): Promise<IdempotentResult> {
    const bytes = records.reduce((sum, each) => sum + RECORD_OVERHEAD_BYTES + recordBytes(each), 0);
    const running = this.#running.get(digest);
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) {
      this.#options.metrics.published.inc({ result: "queue-full" }, records.length);
      throw new HeadgateError("publish-queue-full", "Too much is under way with idempotency keys", {
        mayBeStored: running !== undefined,
        retryAfterS: 1,
      });
    }
    this.#heldBytes += bytes;
    try {
      // What comes while the same is under way shares its end: one attempt after the other would
      // take a multiple of PUBLISH_TIMEOUT while Kafka is away.
      if (running) return { events: (await running).events, isDuplicate: true };
      const run = this.#run(digest, records);
      this.#running.set(digest, run);
      return await run.finally(() => this.#running.delete(digest));
    } finally {
      this.#heldBytes -= bytes;
    }
  }

  async #run(digest: string, records: readonly OutgoingRecord[]): Promise<IdempotentResult> {
    const log = this.#options.log();
    if (!log) {
      throw new HeadgateError(
        "not-ready",
        "The server cannot tell yet whether this Idempotency-Key was used; /readyz says why",
        { mayBeStored: false },
      );
    }
    const before = storedPlaces(log, digest);
    if (before.size > 0 && before.size === firstCount(log, digest)) {
      return { events: inOrder(before), isDuplicate: true };
    }
    const missing = records.map((record, index) => ({ record, index }));
    const outgoing = missing.filter(({ index }) => !before.has(index));
    const published = await this.#options.publish(outgoing.map(({ record }) => record));
    const ours = new Map(published.map((place, i) => [outgoing[i]?.index ?? i, place]));
    await this.#untilPassed(log, published);
    // Of two instances that were asked at once the one whose record lies first has made the event.
    const places = new Map([...ours, ...storedPlaces(log, digest)]);
    const isDuplicate = [...ours].every(([index, place]) => !isSame(places.get(index), place));
    return { events: inOrder(places), isDuplicate };
  }

  /** Resolves when the own log has come past all these places, or it takes too long. */
  async #untilPassed(log: ReadableLog, places: readonly Coordinates[]): Promise<void> {
    const deadlineMs = performance.now() + this.#options.waitMs;
    const isPassed = ({ topic, partition, offset }: Coordinates): boolean =>
      (log.topic(topic)?.offsets[partition] ?? 0) > offset;
    while (!places.every(isPassed) && performance.now() < deadlineMs) await Bun.sleep(POLL_MS);
  }
}

/** What the log holds of a publish, by the event's index. */
function storedPlaces(log: ReadableLog, digest: string): Map<number, Coordinates> {
  const places = new Map<number, Coordinates>();
  for (const { index, topic, partition, offset } of log.marked(digest)) {
    // Partitions that were added in between: then one event may lie in two of them.
    if (!places.has(index)) places.set(index, { topic, partition, offset });
  }
  return places;
}

function firstCount(log: ReadableLog, digest: string): number | undefined {
  return log.marked(digest)[0]?.count;
}

function inOrder(places: ReadonlyMap<number, Coordinates>): Coordinates[] {
  return [...places].toSorted(([one], [other]) => one - other).map(([, place]) => place);
}

function isSame(one: Coordinates | undefined, other: Coordinates): boolean {
  return (
    one?.topic === other.topic && one.partition === other.partition && one.offset === other.offset
  );
}
