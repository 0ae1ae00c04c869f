import { type Clock, systemClock } from "./clock.ts";
import type {
  Frame,
  FrameListener,
  FrameSource,
  Interruption,
  SourceState,
} from "./frame-source.ts";
import { Gate } from "./gate.ts";
import { Inbox } from "./inbox.ts";
import { parseJson } from "./json.ts";
import { isPageHidden, watchPage } from "./page-watch.ts";
import { receive } from "./received-event.ts";
import {
  type EventOf,
  type Schemas,
  type StatusDetail,
  type Stream,
  StreamError,
  type StreamStatus,
} from "./stream.ts";
import type { StreamOptions } from "./stream-options.ts";
import { streamUrl } from "./stream-url.ts";
import { StoredPosition } from "./stored-position.ts";
import { type TokenSource, tokenSource } from "./token-source.ts";

/** What a source is made from. */
export interface SourceSetup extends FrameListener {
  /** The stream's address, without a token. */
  readonly url: string;
  /** The event types that were asked for; undefined: all. */
  readonly types: readonly string[] | undefined;
  readonly token: TokenSource;
  readonly clock: Clock;
}

export type MakeSource = (setup: SourceSetup) => FrameSource;

const HIDDEN: Interruption = { reason: "hidden", message: "The page is hidden" };

/** A stream for its user: takes frames from a source, and hands out events one after the other. */
export class EventStream<S extends Schemas> implements Stream<EventOf<S>> {
  readonly #options: StreamOptions<S>;
  readonly #source: FrameSource;
  readonly #inbox: Inbox;
  readonly #stored: StoredPosition | undefined;
  readonly #unwatch: () => void;
  #status: StreamStatus = "connecting";
  #error: StreamError | undefined;
  #lastEventId: string | undefined;
  /** The position after what its user deals with at the moment. */
  #taken = "";
  #isIterated = false;

  /** @throws TypeError for options that cannot be used. */
  constructor(options: StreamOptions<S>, makeSource: MakeSource, clock = systemClock) {
    const { schemas, storage, onEvent, signal, maxBuffered = 1000 } = options;
    const types = options.types ?? (schemas && Object.keys(schemas));
    const url = streamUrl({ ...options, types });
    const gate = new Gate();
    this.#options = options;
    this.#inbox = new Inbox(gate, maxBuffered);
    this.#stored =
      storage &&
      new StoredPosition({ storage, key: options.storageKey ?? `headgate ${url}`, clock });
    this.#source = makeSource({
      url,
      types,
      token: tokenSource(options.token),
      clock,
      gate,
      onFrame: (frame) => this.#inbox.put(frame),
      onState: (state) => this.#follow(state),
    });
    this.#unwatch = watchPage({
      onHidden: () => this.#hide(),
      onVisible: () => this.#show(),
      onOnline: () => this.#source.retryNow(),
    });
    signal?.addEventListener("abort", () => this.close());
    if (signal?.aborted === true) this.close();
    else void this.#start();
    if (onEvent) void this.#feed(onEvent);
  }

  get status(): StreamStatus {
    return this.#status;
  }

  get error(): StreamError | undefined {
    return this.#error;
  }

  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  retryNow(): void {
    this.#source.retryNow();
  }

  close(): void {
    if (this.#isOver) return;
    this.#inbox.clear();
    this.#end("closed");
  }

  [Symbol.asyncIterator](): AsyncIterator<EventOf<S>> {
    if (this.#options.onEvent || this.#isIterated) {
      throw new TypeError("The events of a stream can be taken once: by onEvent, or by one loop");
    }
    this.#isIterated = true;
    return {
      next: async () => {
        const event = await this.#next();
        if (event) return { done: false, value: event };
        if (this.#error) throw this.#error;
        return { done: true, value: undefined };
      },
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  get #isOver(): boolean {
    return this.#status === "closed" || this.#status === "error";
  }

  async #start(): Promise<void> {
    const stored = await this.#stored?.read();
    if (this.#isOver) return;
    this.#lastEventId = stored ?? this.#options.lastEventId;
    this.#source.start(this.#lastEventId);
    if (isPageHidden()) this.#hide();
  }

  async #feed(onEvent: (event: EventOf<S>) => void | Promise<void>): Promise<void> {
    try {
      for (let event = await this.#next(); event; event = await this.#next()) await onEvent(event);
    } catch (cause) {
      this.#taken = "";
      this.#fail({ reason: "handler", message: "onEvent has thrown" }, cause);
    }
  }

  /** The next event; the one before it has been dealt with. Undefined: there will be none. */
  async #next(): Promise<EventOf<S> | undefined> {
    this.#move(this.#taken);
    this.#taken = "";
    for (;;) {
      const frame = await this.#inbox.take();
      if (!frame) return undefined;
      const event = await this.#open(frame);
      if (this.#status === "closed") return undefined;
      if (event) {
        this.#taken = frame.id;
        return event;
      }
      this.#move(frame.id);
    }
  }

  /** What is for its user to deal with; notices are told, and are no events. */
  async #open(frame: Frame): Promise<EventOf<S> | undefined> {
    const { schemas, onConnection, onReset, onSkipped, onLive, onInvalid } = this.#options;
    const { type, id, data: text } = frame;
    // What they hold is for the server to say (docs/protocol.md, section 5).
    const notice = (): never => (parseJson(text) ?? {}) as never;
    if (type === "heartbeat") return undefined;
    if (type === "connection") notify(onConnection, notice());
    else if (type === "live") notify(onLive, notice());
    else if (type === "reset") notify(onReset ?? warn("events may be missing"), notice());
    else if (type === "skipped") notify(onSkipped ?? warn("an event was left out"), notice());
    else {
      const result = await receive(frame, schemas);
      // By the schema of its type; without schemas all are alike.
      if (!result.issues) return result.value as EventOf<S>;
      const { issues } = result;
      if (onInvalid) notify(onInvalid, { type, id, text, issues });
      else warn("an event does not fit its schema")({ type, id, issues });
    }
    return undefined;
  }

  #move(id: string): void {
    if (id === "") return;
    this.#lastEventId = id;
    this.#stored?.note(id);
  }

  #follow(state: SourceState): void {
    if (this.#isOver) return;
    if (state.name === "error") this.#fail(state.why);
    else if (state.name === "reconnecting") {
      const { why, delayMs, attempt } = state;
      this.#setStatus("reconnecting", { why, delayMs, attempt });
    } else if (state.name === "open") this.#setStatus("open");
    // One that was there before comes back.
    else if (this.#status === "connecting") this.#setStatus("connecting");
  }

  #hide(): void {
    void this.#stored?.flush();
    if (this.#options.pauseWhenHidden !== true || this.#isOver) return;
    this.#source.stop();
    this.#setStatus("reconnecting", { why: HIDDEN });
  }

  #show(): void {
    if (this.#isOver) return;
    if (this.#options.pauseWhenHidden === true) this.#source.start();
    else this.#source.retryNow();
  }

  #fail(why: Interruption, cause?: unknown): void {
    if (this.#isOver) return;
    this.#error = new StreamError(why, cause);
    this.#end("error", { why });
  }

  #end(status: "closed" | "error", detail?: StatusDetail): void {
    this.#unwatch();
    this.#source.stop();
    this.#inbox.end();
    void this.#stored?.flush();
    this.#setStatus(status, detail);
  }

  #setStatus(status: StreamStatus, detail: StatusDetail = {}): void {
    this.#status = status;
    const { onStatus } = this.#options;
    notify(onStatus && ((said: StatusDetail) => onStatus(status, said)), detail);
  }
}

/** What a listener throws is its own fault: it is seen, and the stream goes on. */
function notify<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function warn(what: string): (notice: unknown) => void {
  return (notice) => console.warn(`Headgate: ${what}`, notice);
}
