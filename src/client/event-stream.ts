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
import { pageVisibility, watchPage } from "./page-watch.ts";
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
  const { onConnection = ignore, onLive = ignore, onReset = warn, onSkipped = warn } = options;
  const { onInvalid = warn, onStatus } = options;
  /** Who is told of system events. */
  const listeners = new Map<string, (notice: never) => void>([
    ["heartbeat", ignore],
    ["connection", onConnection],
    ["live", onLive],
    ["reset", onReset],
    ["skipped", onSkipped],
  ]);
  let status: StreamStatus = "connecting";
  let error: StreamError | undefined;
  let lastEventId: string | undefined;
  /** The position after what its user deals with at the moment. */
  let taken = "";
  let isIterated = false;
  let isPaused = false;

  const types = options.types ?? (schemas && Object.keys(schemas));
  const url = streamUrl({ ...options, types });
  const key = options.storageKey ?? `headgate ${url}`;
  const stored = storage && storedPosition(storage, { key, clock });
  const gate = new Gate();
  const inbox = createInbox(gate, maxBuffered);
  const token = tokenSource(options.token);
  const onFrame = inbox.put;
  const source = makeSource({ url, types, token, clock, gate, onFrame, onState: follow });
  const unwatch = watchPage(followPage);

  function isOver(): boolean {
    return status === "closed" || status === "error";
  }

  async function start(): Promise<void> {
    const id = await stored?.read();
    if (isOver()) return;
    lastEventId = id ?? options.lastEventId;
    source.start(lastEventId);
    if (pageVisibility() === "hidden") followPage();
  }

  function follow(state: SourceState): void {
    if (isOver()) return;
    const { name } = state;
    if (name === "error") fail(state.why);
    else if (name === "reconnecting") {
      const { why, delayMs, attempt } = state;
      setStatus(name, { why, delayMs, attempt });
      // One that was there before comes back.
    } else if (name === "open" || status === "connecting") setStatus(name);
  }

  /** The page is shown or hidden, or the network is back. */
  function followPage(): void {
    const isHidden = pageVisibility() === "hidden";
    // It may be left for good.
    if (isHidden) stored?.flush();
    else if (isPaused) source.start();
    else source.retryNow();
    if (isHidden && pauseWhenHidden && !isPaused) {
      source.stop();
      setStatus("reconnecting", { why: { reason: "hidden", message: "The page is hidden" } });
    }
    isPaused = isHidden && pauseWhenHidden;
  }

  function fail(why: Interruption, cause?: unknown): void {
    if (isOver()) return;
    error = new StreamError(why, cause);
    end("error", { why });
  }

  function end(as: "closed" | "error", detail?: StatusDetail): void {
    unwatch();
    source.stop();
    inbox.end();
    stored?.flush();
    setStatus(as, detail);
  }

  function setStatus(next: StreamStatus, detail: StatusDetail = {}): void {
    status = next;
    if (onStatus) notify((said) => onStatus(next, said), detail);
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
    const listener = listeners.get(type);
    if (listener) {
      // What a notice holds is for the server to say (docs/protocol.md, section 5).
      notify(listener, (parseJson(text) ?? {}) as never);
      return undefined;
    }
    const { value, issues } = await receive(frame, schemas);
    if (issues) notify(onInvalid, { type, id, text, issues });
    // By the schema of its type; without schemas all are alike.
    return value as EventOf<S> | undefined;
  }

  function move(id: string): void {
    if (id === "") return;
    lastEventId = id;
    stored?.note(id);
  }

  function close(): void {
    if (isOver()) return;
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

  async function* iterate(): AsyncIterator<EventOf<S>> {
    if (onEvent || isIterated) {
      throw new TypeError("A stream's events can be taken once: by onEvent, or by one loop");
    }
    isIterated = true;
    try {
      for (let event = await next(); event; event = await next()) yield event;
      if (error) throw error;
    } finally {
      close();
    }
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
function notify<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
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
