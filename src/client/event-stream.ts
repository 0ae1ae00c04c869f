import { type Clock, systemClock } from "./clock.ts";
import type {
  Frame,
  FrameListener,
  FrameSource,
  Interruption,
  SourceState,
} from "./frame-source.ts";
import { Gate } from "./gate.ts";
import { createInbox } from "./inbox.ts";
import { parseJson } from "./json.ts";
import { isPageHidden, watchPage } from "./page-watch.ts";
import { receive } from "./received-event.ts";
import { storedPosition } from "./stored-position.ts";
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

/**
 * Opens a stream for its user: takes frames from a source, and hands out events one after the other.
 * @throws TypeError for options that cannot be used.
 */
export function openStream<S extends Schemas>(
  options: StreamOptions<S>,
  makeSource: MakeSource,
  clock: Clock = systemClock,
): Stream<EventOf<S>> {
  const {
    schemas,
    storage,
    signal,
    onEvent,
    maxBuffered = 1000,
    pauseWhenHidden = false,
  } = options;
  // The text is for who asks for it, and not for logs.
  const { onInvalid = ({ type, id, issues }) => warn({ type, id, issues }), onStatus = ignore } =
    options;
  /** Who is told of system events. */
  const listeners: Readonly<Record<string, (notice: never) => void>> = {
    heartbeat: ignore,
    connection: options.onConnection ?? ignore,
    live: options.onLive ?? ignore,
    reset: options.onReset ?? warn,
    skipped: options.onSkipped ?? warn,
  };
  let status: StreamStatus = "connecting";
  let error: StreamError | undefined;
  let lastEventId: string | undefined;
  /** The position after what its user deals with at the moment. */
  let taken = "";
  /** Whether there is somebody already who gets the events. */
  let isTaken = onEvent !== undefined;
  let isPaused = false;
  let isOver = false;

  const types = options.types ?? (schemas && Object.keys(schemas));
  const url = streamUrl({ ...options, types });
  const key = options.storageKey ?? `headgate ${url}`;
  const stored = storage && storedPosition(storage, { key, clock });
  const gate = new Gate();
  const inbox = createInbox(gate, Math.max(1, maxBuffered));
  const source = makeSource({
    url,
    types,
    token: tokenSource(options.token),
    clock,
    gate,
    onFrame: inbox.put,
    onState: follow,
  });
  let unwatch = ignore;

  async function start(): Promise<void> {
    const id = await stored?.read();
    if (isOver) return;
    lastEventId = id ?? options.lastEventId;
    // Not before: who sees the page would start the source without its id.
    unwatch = watchPage(followPage);
    source.start(lastEventId);
    if (isPageHidden()) followPage();
  }

  function follow(state: SourceState): void {
    if (isOver) return;
    const { name, ...detail } = state;
    if (name === "error") fail(state.why);
    // One that was there before comes back, and is reconnecting all the time.
    else if (name !== "connecting" || status === name) setStatus(name, detail);
  }

  /** The page is shown or hidden, or the network is back. */
  function followPage(): void {
    if (isOver) return;
    const isHidden = isPageHidden();
    const wasPaused = isPaused;
    isPaused = isHidden && pauseWhenHidden;
    // It may be left for good.
    if (isHidden) stored?.flush();
    else if (wasPaused) source.start();
    else source.retryNow();
    if (isPaused && !wasPaused) {
      source.stop();
      setStatus("reconnecting", { why: { reason: "hidden", message: "The page is hidden" } });
    }
  }

  function fail(why: Interruption, cause?: unknown): void {
    if (isOver) return;
    error = new StreamError(why, cause);
    end("error", { why });
  }

  function end(as: "closed" | "error", detail?: StatusDetail): void {
    isOver = true;
    unwatch();
    signal?.removeEventListener("abort", close);
    source.stop();
    inbox.end();
    stored?.flush();
    setStatus(as, detail);
  }

  function setStatus(as: StreamStatus, detail: StatusDetail = {}): void {
    status = as;
    notify(() => onStatus(as, detail));
  }

  /** The next event; the one before it has been dealt with. Undefined: there will be none. */
  async function next(): Promise<EventOf<S> | undefined> {
    move(taken);
    taken = "";
    for (;;) {
      const frame = await inbox.take();
      const event = frame && (await open(frame));
      if (!frame || status === "closed") return undefined;
      if (event) {
        taken = frame.id;
        return event;
      }
      move(frame.id);
    }
  }

  /** What is for its user to deal with; notices are told, and are no events. */
  async function open(frame: Frame): Promise<EventOf<S> | undefined> {
    const { type, id, data: text } = frame;
    // An own one only: a type can be named as what every object has.
    const listener = Object.hasOwn(listeners, type) && listeners[type];
    if (listener) {
      // What a notice holds is for the server to say (docs/protocol.md, section 5).
      notify(() => listener((parseJson(text) ?? {}) as never));
      return undefined;
    }
    const { value, issues } = await receive(frame, schemas);
    if (issues) notify(() => onInvalid({ type, id, text, issues }));
    // By the schema of its type; without schemas all are alike.
    return value as EventOf<S> | undefined;
  }

  function move(id: string): void {
    if (id === "") return;
    lastEventId = id;
    stored?.note(id);
    // It was being dealt with as the stream was closed.
    if (status === "closed") stored?.flush();
  }

  function close(): void {
    if (isOver) return;
    inbox.clear();
    end("closed");
  }

  async function feed(take: NonNullable<typeof onEvent>): Promise<void> {
    try {
      for (let event = await next(); event; event = await next()) await take(event);
    } catch (cause) {
      fail({ reason: "handler", message: "onEvent has thrown" }, cause);
    }
  }

  async function* loop(): AsyncGenerator<EventOf<S>, undefined> {
    if (isTaken) {
      throw new TypeError("Events can be taken once: by onEvent, or by one loop");
    }
    isTaken = true;
    for (let event = await next(); event; event = await next()) yield event;
    if (error) throw error;
    return undefined;
  }

  function iterate(): AsyncIterator<EventOf<S>> {
    const events = loop();
    return {
      next: () => events.next(),
      // A generator by itself would wait for the next event before it lets go.
      return: () => {
        close();
        return events.return(undefined);
      },
    };
  }

  if (signal?.aborted) close();
  else void start();
  signal?.addEventListener("abort", close);
  if (onEvent) void feed(onEvent);

  return {
    get status() {
      return status;
    },
    get error() {
      return error;
    },
    get lastEventId() {
      return lastEventId;
    },
    retryNow: () => source.retryNow(),
    close,
    [Symbol.asyncIterator]: iterate,
  };
}

/** What a listener throws is its own fault: it is seen, and the stream goes on. */
function notify(tell: () => void): void {
  try {
    tell();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

function ignore(): void {
  // Nobody wants to know.
}

/** Events that are missing, or may be, are not passed over in silence. */
function warn(notice: unknown): void {
  console.warn("Headgate", notice);
}
