import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ReceivedEvent } from "./received-event.ts";
import { reconnectDelayMs } from "./reconnect-delay.ts";
import { describeClose, type ResetNotice, type StreamState } from "./stream-state.ts";

/** Time and chance, which tests make up. */
export interface Clock {
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Calls later; returns what calls it off. */
  readonly after: (ms: number, call: () => void) => () => void;
}

export interface EventStreamOptions {
  /** Asks for the stream; `lastEventId` is undefined until a position is known. */
  readonly open: (request: {
    readonly lastEventId: string | undefined;
    readonly signal: AbortSignal;
  }) => Promise<Response>;
  readonly onState: (state: StreamState) => void;
  readonly onEvent: (event: ReceivedEvent) => void;
  readonly onReset: (notice: ResetNotice) => void;
  readonly clock: Clock;
}

/** How one connection ended. */
type Ending =
  | { readonly kind: "lost"; readonly why: string; readonly retryMs?: number }
  | { readonly kind: "refused"; readonly status: number; readonly why: string };

/** Heartbeats come every 15 s, unless set otherwise: what is silent for longer may be half open. */
const QUIET_MS = 60_000;

/** The longest that silence is borne, where each time it was nothing but silence. */
const MAX_QUIET_MS = 960_000;

/** A frame that never ends must not fill the page's memory: the largest event is far smaller. */
const MAX_FRAME_CHARACTERS = 64 << 20;

/**
 * The page's one stream. It comes back with the last id whenever it is cut, and so gets exactly the
 * rest: an event counts once its blank line has come, and a part of one is forgotten.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  #lastEventId: string | undefined;
  #received = 0;
  #retryMs = 0;
  #quietMs = QUIET_MS;
  /** Connections in a row that brought no `connection`. */
  #failures = 0;
  #running = new AbortController();
  #skipWait: () => void = () => undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#running.abort();
  }

  /** Opens it, or opens it anew where it was left: with other parameters, or another token. */
  start(): void {
    this.#running.abort();
    this.#running = new AbortController();
    this.#failures = 0;
    this.#quietMs = QUIET_MS;
    void this.#run(this.#running.signal);
  }

  stop(): void {
    this.#running.abort();
    this.#options.onState({ name: "stopped" });
  }

  /** Does not wait any longer. */
  retryNow(): void {
    this.#skipWait();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { onState, clock } = this.#options;
    while (!signal.aborted) {
      onState({ name: "connecting" });
      const ending = await this.#connect(signal);
      if (signal.aborted) return;
      if (ending.kind === "refused") {
        onState({ name: "refused", status: ending.status, why: ending.why });
        return;
      }
      const retryMs = Math.max(this.#retryMs, ending.retryMs ?? 0);
      const random = clock.random();
      const delayMs = reconnectDelayMs({ attempt: this.#failures, retryMs, random });
      this.#failures += 1;
      onState({ name: "disconnected", why: ending.why, retryAtMs: clock.nowMs() + delayMs });
      await this.#wait(delayMs, signal);
    }
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        this.#skipWait = () => undefined;
        resolve();
      };
      const cancel = this.#options.clock.after(ms, done);
      signal.addEventListener("abort", done);
      this.#skipWait = done;
    });
  }

  async #connect(running: AbortSignal): Promise<Ending> {
    const connection = new AbortController();
    const abort = (): void => connection.abort();
    running.addEventListener("abort", abort);
    const silence = this.#watch(abort);
    try {
      const { signal } = connection;
      const response = await this.#options.open({ lastEventId: this.#lastEventId, signal });
      const refusal = await refusalOf(response);
      if (refusal) return refusal;
      const ending = await this.#read(response, { running, onBytes: silence.noteBytes });
      return ending ?? { kind: "lost", why: "The server ended the stream" };
    } catch {
      if (!silence.hasFired) return { kind: "lost", why: "The server cannot be reached" };
      this.#quietMs = Math.min(MAX_QUIET_MS, this.#quietMs * 2);
      return { kind: "lost", why: "The server has said nothing for too long" };
    } finally {
      silence.end();
      running.removeEventListener("abort", abort);
      connection.abort();
    }
  }

  /** Calls when nothing has come for too long. */
  #watch(onSilence: () => void): {
    noteBytes: () => void;
    end: () => void;
    readonly hasFired: boolean;
  } {
    const { clock } = this.#options;
    let lastMs = clock.nowMs();
    let hasFired = false;
    const look = (): void => {
      const leftMs = lastMs + this.#quietMs - clock.nowMs();
      hasFired = leftMs <= 0;
      if (hasFired) onSilence();
      else cancel = clock.after(leftMs, look);
    };
    let cancel = clock.after(this.#quietMs, look);
    return {
      noteBytes: () => (lastMs = clock.nowMs()),
      end: () => cancel(),
      get hasFired() {
        return hasFired;
      },
    };
  }

  async #read(
    { body }: Response,
    { running, onBytes }: { running: AbortSignal; onBytes: () => void },
  ): Promise<Ending | undefined> {
    let ending: Ending | undefined;
    const parser = createParser({
      maxBufferSize: MAX_FRAME_CHARACTERS,
      onRetry: (ms) => (this.#retryMs = ms),
      onEvent: (event) => (ending = this.#take(event) ?? ending),
    });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const piece = await reader?.read();
      // What was read before somebody else took over is not for this one to tell.
      if (!piece || piece.done || running.aborted) return ending;
      onBytes();
      parser.feed(piece.value);
    }
  }

  #take({ event: type = "message", id, data }: EventSourceMessage): Ending | undefined {
    const { onState, onEvent, onReset } = this.#options;
    this.#lastEventId = id ?? this.#lastEventId;
    if (type === "connection") {
      this.#failures = 0;
      onState({ name: "behind" });
    } else if (type === "live") onState({ name: "live" });
    else if (type === "reset") {
      const { reason, topics }: ResetNotice = JSON.parse(data);
      onReset({ reason, topics });
    } else if (type === "close") {
      const { reason, reconnect }: { reason: string; reconnect: boolean } = JSON.parse(data);
      const why = describeClose(reason);
      return reconnect ? { kind: "lost", why } : { kind: "refused", status: 401, why };
    } else if (type !== "heartbeat") {
      this.#received += 1;
      onEvent(new ReceivedEvent(this.#received, { type, id: this.#lastEventId ?? "", data }));
    }
    return undefined;
  }
}

/** What is no stream; undefined: it is one. */
async function refusalOf(response: Response): Promise<Ending | undefined> {
  const { status, headers } = response;
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  if (status === 200 && isStream) return undefined;
  const why = await problemText(response);
  // What passes by itself: the server's faults, and limits.
  if (status >= 500 || status === 429 || status === 408 || status < 400) {
    const retryMs = Number(headers.get("retry-after") ?? 0) * 1000;
    return { kind: "lost", why, ...(retryMs > 0 && { retryMs }) };
  }
  return { kind: "refused", status, why };
}

/** What a problem says [RFC 9457], or the status where the answer is none: a proxy's, perhaps. */
export async function problemText(response: Response): Promise<string> {
  const status = `The answer was ${response.status}${response.statusText && ` ${response.statusText}`}`;
  if (!response.headers.get("content-type")?.startsWith("application/problem+json")) {
    await response.body?.cancel();
    return status;
  }
  try {
    const problem: unknown = await response.json();
    const isProblem = typeof problem === "object" && problem !== null && "detail" in problem;
    return isProblem && typeof problem.detail === "string" ? problem.detail : status;
  } catch {
    return status;
  }
}
