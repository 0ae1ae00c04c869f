import { type ErrorCode, HeadgateError, quote } from "../errors.ts";
import type { Streams } from "../hub/streams.ts";
import { recordBytes } from "../log/entry.ts";
import type { ReadableLog } from "../log/readable-log.ts";
import type { Coordinates, OutgoingRecord, Publisher } from "../log/publisher.ts";
import type { Metrics } from "../metrics.ts";
import {
  digestOf,
  IdempotentPublishing,
  type IdempotentResult,
  markRecords,
} from "./idempotent.ts";

export interface PublishResult {
  readonly published: number;
  /** In the order given. */
  readonly events: readonly Coordinates[];
  /** Subscribers of this instance, in all its processes, that the events reach. */
  readonly receivers: number;
  /** Everything had been published before, under the same idempotency key: here is where. */
  readonly duplicate?: true;
}

/** Makes a publish one that can be repeated without publishing twice. */
export interface Idempotency {
  /** 1 to 128 printable characters. */
  readonly key: string;
  /** Whose key it is: two publishers may use the same. */
  readonly publisher: string;
}

export interface PublishingOptions {
  readonly publisher: Publisher;
  /** undefined while the server is not ready. */
  readonly log: () => ReadableLog | undefined;
  readonly streams: Pick<Streams, "receivers">;
  readonly topics: readonly string[];
  readonly defaultTopic: string;
  readonly maxEventBytes: number;
  readonly metrics: Metrics;
}

/** Port. The one way for events into Headgate, for requests and for code in this process. */
export interface Publishes {
  /** Topics that may be published to. */
  readonly topics: readonly string[];
  /** That of events which name none. */
  readonly defaultTopic: string;
  /**
   * Checks all records, then publishes them; resolves once they are durable.
   * @throws HeadgateError `too-large`, or what `Publisher.publish` rejects with.
   */
  publish(records: readonly OutgoingRecord[], idempotency?: Idempotency): Promise<PublishResult>;
}

/** Publishes from the process that has the log. */
export class Publishing implements Publishes {
  readonly #options: PublishingOptions;
  readonly #idempotent: IdempotentPublishing;

  constructor(options: PublishingOptions) {
    this.#options = options;
    const { log, publisher, metrics } = options;
    this.#idempotent = new IdempotentPublishing({
      metrics,
      log,
      publish: (records) => publisher.publish(records),
      waitMs: FEED_WAIT_MS,
    });
  }

  get topics(): readonly string[] {
    return this.#options.topics;
  }

  get defaultTopic(): string {
    return this.#options.defaultTopic;
  }

  async publish(
    records: readonly OutgoingRecord[],
    idempotency?: Idempotency,
  ): Promise<PublishResult> {
    const { publisher, streams } = this.#options;
    if (!idempotency) {
      this.#checkSizes(records);
      const receivers = streams.receivers(records);
      const { events } = await this.#timed(async () => ({
        events: await publisher.publish(records),
        isDuplicate: false,
      }));
      return { published: events.length, events, receivers: await receivers };
    }
    const digest = digestOf(idempotency.publisher, checkKey(idempotency.key));
    const marked = markRecords(records, digest);
    this.#checkSizes(marked);
    // Of a duplicate too: whoever asks again wants to know who gets it.
    const receivers = streams.receivers(records);
    const { events, isDuplicate } = await this.#timed(() =>
      this.#idempotent.publish(digest, marked),
    );
    const result = { published: events.length, events, receivers: await receivers };
    if (!isDuplicate) return result;
    this.#options.metrics.published.inc({ result: "duplicate" }, events.length);
    return { ...result, duplicate: true };
  }

  /** Notes how long a publish took, and how it ended. */
  async #timed(publish: () => Promise<IdempotentResult>): Promise<IdempotentResult> {
    const { publishDuration } = this.#options.metrics;
    const startedMs = performance.now();
    const note = (result: string): void =>
      publishDuration.observe({ result }, (performance.now() - startedMs) / 1_000);
    try {
      const published = await publish();
      note(published.isDuplicate ? "duplicate" : "ok");
      return published;
    } catch (error) {
      note((error instanceof HeadgateError && RESULTS.get(error.code)) || "failed");
      throw error;
    }
  }

  #checkSizes(records: readonly OutgoingRecord[]): void {
    const { maxEventBytes } = this.#options;
    for (const [i, record] of records.entries()) {
      const bytes = recordBytes(record);
      if (bytes <= maxEventBytes) continue;
      throw new HeadgateError(
        "too-large",
        `Event ${i} has ${bytes} bytes; at most ${maxEventBytes} are allowed (SSE_MAX_EVENT_BYTES)`,
        { pointer: records.length > 1 ? `/${i}` : "" },
      );
    }
  }
}

/** What a publish's refusal is called where it is counted; any other has `failed`. */
const RESULTS: ReadonlyMap<ErrorCode, string> = new Map([
  ["publish-timeout", "timeout"],
  ["publish-queue-full", "queue-full"],
]);

/** How long a publish under an idempotency key waits for the feed to bring it back, which takes milliseconds. */
const FEED_WAIT_MS = 2000;

// [draft-ietf-httpapi-idempotency-key-header] leaves the form open; RFC 20: the printable ones.
const KEY = /^[\x20-\x7e]{1,128}$/;

function checkKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new HeadgateError(
    "invalid-parameter",
    `Idempotency-Key is ${quote(key)}; use 1 to 128 printable ASCII characters`,
    { parameter: "Idempotency-Key" },
  );
}
