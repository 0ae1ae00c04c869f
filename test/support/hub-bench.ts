import { createParser } from "eventsource-parser";
import { Hub, type HubOptions } from "../../src/hub/hub.ts";
import type { StartRequest } from "../../src/hub/start-position.ts";
import type { Sink, Subscriber } from "../../src/hub/subscriber.ts";
import type { Identity, Subscription } from "../../src/hub/subscription.ts";
import { EventLog } from "../../src/log/event-log.ts";
import type { EndsSource, TopicEnds } from "../../src/log/source.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics } from "../../src/metrics.ts";

/** A hub over a log in memory with the topic `a`, and what it takes to look at it. */
export class HubBench implements Disposable {
  readonly log = new EventLog({ path: ":memory:", durable: false });
  readonly hub: Hub;
  /** What the source says of the topic's end; undefined: it does not answer. */
  end: number | undefined;
  /** The source answers after this. */
  answered: Promise<void> = Promise.resolve();
  readonly #ends: EndsSource = {
    ends: async (): Promise<TopicEnds[]> => {
      await this.answered;
      if (this.end === undefined) throw new Error("Kafka is away");
      return [{ topic: "a", tag: "t", starts: [0], ends: [this.end] }];
    },
  };

  constructor(options: Partial<HubOptions> = {}) {
    this.hub = new Hub({
      logger: createLogger("silent"),
      metrics: createMetrics(),
      heartbeatMs: 60_000,
      retryMs: 1000,
      flushMs: 0,
      maxAgeMs: 0,
      maxStallMs: 60_000,
      cleanupMs: 20,
      ...options,
    });
    this.log.append([{ kind: "topic", topic: "a", tag: "t", offsets: [0] }]);
  }

  attach(aheadConfirmMs = 0): this {
    this.hub.attach({ log: this.log, ends: this.#ends, aheadConfirmMs });
    return this;
  }

  append(
    offset: number,
    { type = "x", bytes = 10, user }: { type?: string; bytes?: number; user?: string } = {},
  ): void {
    this.log.append([
      {
        kind: "record",
        topic: "a",
        partition: 0,
        offset,
        timestampMs: 1,
        timestampType: "create",
        key: null,
        value: Buffer.from(String(offset).padEnd(bytes, "-")),
        headers: [
          ["type", Buffer.from(type)],
          ...(user === undefined ? [] : [["headgate-user", Buffer.from(user)] as const]),
        ],
      },
    ]);
  }

  subscribe(
    subscription: Partial<Subscription> = {},
    start: Partial<StartRequest> = {},
    identity: Partial<Identity> = {},
  ): Peer {
    const peer = new Peer();
    peer.subscriber = this.hub.subscribe({
      subscription: {
        topics: ["a"],
        types: undefined,
        keys: undefined,
        channels: new Set(),
        encoding: "plain",
        ...subscription,
      },
      identity: { clientId: "c", user: undefined, username: undefined, ...identity },
      start: {
        lastEventId: undefined,
        since: undefined,
        recent: undefined,
        per: undefined,
        ...start,
      },
      sink: peer,
      expiresAtMs: Infinity,
      onEnded: () => {},
    });
    return peer;
  }

  [Symbol.dispose](): void {
    this.hub[Symbol.dispose]();
    this.log[Symbol.dispose]();
  }
}

/** A peer that takes bytes until it is told to push back. */
class Peer implements Sink {
  readonly events: { event: string; data: string; id: string | undefined }[] = [];
  readonly writes: number[] = [];
  /** What was written, itself. */
  readonly arrays: Uint8Array[] = [];
  subscriber: Subscriber | undefined;
  pushesBack = false;
  ending: "end" | "drop" | undefined;
  readonly #parser = createParser({
    onEvent: ({ event = "message", data, id }) => this.events.push({ event, data, id }),
  });

  write(bytes: Uint8Array): boolean {
    this.writes.push(bytes.byteLength);
    this.arrays.push(bytes);
    this.#parser.feed(Buffer.from(bytes).toString());
    return !this.pushesBack;
  }

  end(): void {
    this.ending = "end";
  }

  drop(): void {
    this.ending = "drop";
  }

  named(event: string): { event: string; data: string; id: string | undefined }[] {
    return this.events.filter((each) => each.event === event);
  }

  async until(isTrue: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + 3000;
    while (!isTrue()) {
      if (performance.now() > deadlineMs) {
        throw new Error(
          `Not so: ${String(isTrue)}; seen: ${this.events.map((e) => e.event).join(" ")}`,
        );
      }
      await new Promise(setImmediate);
    }
  }

  live(): Promise<void> {
    return this.until(() => this.named("live").length > 0);
  }
}
