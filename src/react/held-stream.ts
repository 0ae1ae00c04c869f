import { connect } from "../client/connect.ts";
import type { Stream, StreamError, StreamEvent, StreamStatus } from "../client/stream.ts";
import { hand, Handlers } from "./handlers.ts";
import { continues, type HeldOptions, streamKey } from "./held-options.ts";

/** What a component shows of a stream; another object each time that it has changed. */
export interface StreamState {
  readonly status: StreamStatus;
  /** Why it has given up. */
  readonly error: StreamError | undefined;
}

/** As on a server, where none is opened. */
export const CONNECTING: StreamState = { status: "connecting", error: undefined };

/** A stream, and what it was opened with. */
interface Opened {
  readonly options: HeldOptions;
  readonly lastEventId: string | undefined;
  stream?: Stream;
  /** The last event that was handed out, and where the stream was then: it moves on only afterwards. */
  handed?: { readonly id: string; readonly after: string | undefined };
}

/** The one stream of a component: opened when that is there, closed when it is gone, never two. */
export class HeldStream {
  readonly handlers = new Handlers();
  readonly #listeners = new Set<() => void>();
  /** Of the last render. */
  #options: HeldOptions;
  #state = CONNECTING;
  /** The last one, which may be over. */
  #opened: Opened | undefined;
  /** The one whose callbacks count. */
  #current: Opened | undefined;
  /** The component is there. */
  #isHeld = false;
  /** `disconnect` was called. */
  #isOff = false;

  constructor(options: HeldOptions) {
    this.#options = options;
  }

  update(options: HeldOptions): void {
    this.#options = options;
  }

  get lastEventId(): string | undefined {
    return this.#opened?.stream?.lastEventId;
  }

  readonly getState = (): StreamState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Opens the stream of the options, where it is not open; returns what closes it. */
  readonly hold = (): (() => void) => {
    this.#isHeld = true;
    const { options } = this.#opened ?? {};
    const isOther = options !== undefined && streamKey(options) !== streamKey(this.#options);
    if (!this.#isOff && (isOther || this.#isOver)) this.#open();
    return () => {
      this.#isHeld = false;
      // StrictMode, and options that change, let go of it and hold it again at once.
      queueMicrotask(() => {
        if (!this.#isHeld && !this.#isOff) this.#close(CONNECTING);
      });
    };
  };

  /** Opens it again after `disconnect`, or when it has given up; while it waits for its next attempt, makes that at once. */
  readonly connect = (): void => {
    this.#isOff = false;
    if (!this.#isHeld) return;
    if (this.#isOver) this.#open();
    else this.#opened?.stream?.retryNow();
  };

  /** Closes it until `connect` is called. */
  readonly disconnect = (): void => {
    if (this.#isOff) return;
    this.#isOff = true;
    this.#close({ status: "closed", error: undefined });
    this.#options.onStatus?.("closed", {});
  };

  get #isOver(): boolean {
    const { status = "closed" } = this.#opened?.stream ?? {};
    return status === "closed" || status === "error";
  }

  #open(): void {
    const { connect: open = connect, ...options } = this.#options;
    const lastEventId = this.#positionFor(options) ?? options.lastEventId;
    this.#close(CONNECTING);
    const opened: Opened = { options, lastEventId };
    this.#opened = opened;
    this.#current = opened;
    opened.stream = open({
      ...options,
      lastEventId,
      token: typeof options.token === "function" ? () => this.#token() : options.token,
      onEvent: (event: StreamEvent) => {
        if (this.#current !== opened) return undefined;
        opened.handed = { id: event.id, after: opened.stream?.lastEventId };
        return hand(event, [this.#options.onEvent, ...this.handlers.of(event.type)]);
      },
      onStatus: (status, detail) => {
        if (this.#current !== opened) return;
        this.#show({ status, error: opened.stream?.error });
        this.#options.onStatus?.(status, detail);
      },
      onConnection: (notice) => this.#options.onConnection?.(notice),
      onLive: (notice) => this.#options.onLive?.(notice),
      onReset: (notice) => (this.#options.onReset ?? warn("events may be missing"))(notice),
      onSkipped: (notice) => (this.#options.onSkipped ?? warn("an event was left out"))(notice),
      onInvalid: ({ type, id, text, issues }) => {
        const { onInvalid } = this.#options;
        if (onInvalid) onInvalid({ type, id, text, issues });
        // What was published may be nobody's business.
        else warn("an event does not fit its schema")({ type, id, issues });
      },
    });
  }

  #close(state: StreamState): void {
    this.#current = undefined;
    this.#opened?.stream?.close();
    this.#show(state);
  }

  /** Where a stream begins so that it goes on after the one before it. */
  #positionFor(options: HeldOptions): string | undefined {
    const { options: previous, stream, handed, lastEventId } = this.#opened ?? {};
    if (!previous || !continues(options, previous)) return undefined;
    if (handed && handed.after === stream?.lastEventId) return handed.id;
    return stream?.lastEventId ?? lastEventId;
  }

  #token(): string | undefined | Promise<string | undefined> {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  #show(state: StreamState): void {
    const { status, error } = this.#state;
    if (state.status === status && state.error === error) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

function warn(what: string): (notice: unknown) => void {
  return (notice) => console.warn(`Headgate: ${what}`, notice);
}
