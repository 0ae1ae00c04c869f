import { createParser } from "eventsource-parser";
import { Arrivals, openStream } from "./arrivals.ts";
import type { Settings } from "./server.ts";

/** An event as a client of the standard sees it. */
export interface SeenEvent {
  /** `message` where the frame names none. */
  readonly event: string;
  readonly data: string;
  /** The last event id after it. */
  readonly id: string;
  /** When it came (monotonic, ms). */
  readonly atMs: number;
}

const SYSTEM_EVENTS = new Set(["connection", "reset", "live", "heartbeat", "close"]);

/** Reads an event stream with a parser that is not ours, and lets tests wait for what it brings. */
export class EventReader {
  readonly events: SeenEvent[] = [];
  /** The values of all `retry:` fields. */
  readonly retries: number[] = [];
  /** Comments and lines that are no fields: there should be none. */
  readonly oddities: string[] = [];
  lastEventId = "";
  isEnded = false;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #arrivals = new Arrivals();
  readonly #parser = createParser({
    onEvent: ({ event = "message", data, id }) => {
      this.lastEventId = id ?? this.lastEventId;
      this.events.push({ event, data, id: this.lastEventId, atMs: performance.now() });
    },
    onRetry: (ms) => this.retries.push(ms),
    onComment: (comment) => this.oddities.push(comment),
    onError: (error) => this.oddities.push(error.message),
  });

  /** @throws TypeError where a byte sequence that is not UTF-8 is on the wire. */
  feed(bytes: Uint8Array): void {
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    this.#arrivals.note();
  }

  end(): void {
    this.isEnded = true;
    this.#arrivals.note();
  }

  /** Events that are records. */
  get records(): readonly SeenEvent[] {
    return this.events.filter(({ event }) => !SYSTEM_EVENTS.has(event));
  }

  named(event: string): readonly SeenEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** Resolves when the condition holds, which is looked at after every piece that comes. */
  until(isTrue: () => boolean, { deadlineMs = 10_000 } = {}): Promise<void> {
    return this.#arrivals.until(isTrue, {
      deadlineMs,
      describe: () => this.events.slice(-5).map(({ event, data }) => `${event} ${data}`),
    });
  }

  /** The first event of this name, once it is there. */
  async first(event: string, options?: { deadlineMs?: number }): Promise<SeenEvent> {
    await this.until(() => this.named(event).length > 0, options);
    const [first] = this.named(event);
    if (!first) throw new Error(`No ${event}`);
    return first;
  }

  /** Resolves when so many records have come. */
  async recordsUpTo(
    count: number,
    options?: { deadlineMs?: number },
  ): Promise<readonly SeenEvent[]> {
    await this.until(() => this.records.length >= count, options);
    return this.records;
  }

  ended(options?: { deadlineMs?: number }): Promise<void> {
    return this.until(() => this.isEnded, options);
  }
}

/** A subscriber over fetch. Cut by `await using`. */
export class TestSubscriber extends EventReader implements AsyncDisposable {
  readonly response: Response;
  /** Why reading ended, where it was not a clean end. */
  failure: unknown;
  readonly #abort: AbortController;
  readonly #done: Promise<void>;

  private constructor(response: Response, abort: AbortController) {
    super();
    this.response = response;
    this.#abort = abort;
    this.#done = this.#read();
  }

  /** Opens a stream; `target` is a path with its query, `/events` where it is left out. */
  static async open(
    url: string,
    target = "/events",
    { headers = {}, lastEventId }: { headers?: Settings; lastEventId?: string } = {},
  ): Promise<TestSubscriber> {
    const { response, abort } = await openStream(`${url}${target}`, {
      accept: "text/event-stream",
      headers,
      lastEventId,
    });
    return new TestSubscriber(response, abort);
  }

  /** The same, and waits until it has caught up. */
  static async live(...args: Parameters<typeof TestSubscriber.open>): Promise<TestSubscriber> {
    const subscriber = await TestSubscriber.open(...args);
    await subscriber.first("live");
    return subscriber;
  }

  /** Drops the connection, in the middle of whatever is under way. */
  async cut(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cut();
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.response.body ?? []) this.feed(chunk);
    } catch (error) {
      this.failure = error;
    }
    this.end();
  }
}
