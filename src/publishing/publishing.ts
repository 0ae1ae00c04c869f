import { HeadgateError } from "../errors.ts";
import type { Hub } from "../hub/hub.ts";
import { recordBytes } from "../log/entry.ts";
import type { Coordinates, OutgoingRecord, Publisher } from "../log/publisher.ts";
import type { Metrics } from "../metrics.ts";

export interface PublishResult {
  readonly published: number;
  /** In the order given. */
  readonly events: readonly Coordinates[];
  /** Subscribers of this instance that the events reach. */
  readonly receivers: number;
}

export interface PublishingOptions {
  readonly publisher: Publisher;
  readonly hub: Hub;
  readonly topics: readonly string[];
  readonly defaultTopic: string;
  readonly maxEventBytes: number;
  readonly metrics: Metrics;
}

/** The one way for events into Headgate, for requests and for code in this process. */
export class Publishing {
  readonly #options: PublishingOptions;

  constructor(options: PublishingOptions) {
    this.#options = options;
  }

  get topics(): readonly string[] {
    return this.#options.topics;
  }

  get defaultTopic(): string {
    return this.#options.defaultTopic;
  }

  /**
   * Checks all records, then publishes them; resolves once they are durable.
   * @throws HeadgateError `too-large`, or what `Publisher.publish` rejects with.
   */
  async publish(records: readonly OutgoingRecord[]): Promise<PublishResult> {
    const { publisher, hub, maxEventBytes } = this.#options;
    for (const [i, record] of records.entries()) {
      const bytes = recordBytes(record);
      if (bytes <= maxEventBytes) continue;
      throw new HeadgateError(
        "too-large",
        `Event ${i} has ${bytes} bytes; at most ${maxEventBytes} are allowed (SSE_MAX_EVENT_BYTES)`,
        { pointer: records.length > 1 ? `/${i}` : "" },
      );
    }
    const receivers = hub.receivers(records);
    const events = await publisher.publish(records);
    return { published: events.length, events, receivers };
  }
}
