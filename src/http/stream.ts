import type { Sink } from "../hub/subscriber.ts";
import type { Encoding } from "../sse/encoding.ts";
import type { Deflater } from "./gzip-deflater.ts";
import { GzipSink } from "./gzip-sink.ts";

export interface StreamOptions {
  readonly encoding: Encoding;
  /** Compresses the stream; undefined: nothing does. */
  readonly deflater: Deflater | undefined;
  readonly request: Request;
  readonly server: Bun.Server<undefined>;
  /** Called when the response is under way; returns what to call when the peer takes bytes again, and when it is gone. */
  readonly onOpen: (sink: Sink) => { onDrain: () => void; onGone: () => void };
}

const COMMON_HEADERS = {
  // no-transform: proxies must not compress, and so hold back, what we flush.
  "Cache-Control": "no-cache, no-transform",
  Connection: "keep-alive",
  // nginx buffers responses otherwise.
  "X-Accel-Buffering": "no",
  // Server-Sent Events, or lines of JSON; compressed, or not.
  Vary: "Accept, Accept-Encoding",
};

const HEADERS = {
  sse: { "Content-Type": "text/event-stream;charset=utf-8", ...COMMON_HEADERS },
  ndjson: { "Content-Type": "application/x-ndjson", ...COMMON_HEADERS },
};

/** What the answer to a subscriber begins with. */
export function streamHeaders(encoding: Encoding, isGzip = false): Record<string, string> {
  const headers = encoding === "ndjson" ? HEADERS.ndjson : HEADERS.sse;
  return isGzip ? { ...headers, "Content-Encoding": "gzip" } : headers;
}

/** An endless response. The stream is opened only once Bun asks for its bytes: a client may be gone before that. */
export function streamResponse(options: StreamOptions): Response {
  const { request, server, encoding, deflater, onOpen } = options;
  let handlers: ReturnType<StreamOptions["onOpen"]> | undefined;
  const body = new ReadableStream({
    type: "direct",
    pull(controller: ReadableStreamDirectController) {
      // The default idle timeout, 10 s, would end quiet streams.
      server.timeout(request, 0);
      const ended = Promise.withResolvers<void>();
      const sink = new DirectSink(controller, {
        onDrain: () => handlers?.onDrain(),
        onEnding: () => server.timeout(request, END_TIMEOUT_S),
        onEnded: () => ended.resolve(),
      });
      handlers = onOpen(deflater ? new GzipSink(sink, deflater) : sink);
      return ended.promise;
    },
    cancel() {
      handlers?.onGone();
    },
  });
  return new Response(body, { headers: streamHeaders(encoding, deflater !== undefined) });
}

/** The timeout outlives the response: without one the socket of an ended stream is never reaped. */
const END_TIMEOUT_S = 2;

interface SinkEvents {
  readonly onDrain: () => void;
  readonly onEnding: () => void;
  readonly onEnded: () => void;
}

/** A class, not closures: a turn walks thousands of these, and each object less is a cache miss less. */
class DirectSink implements Sink {
  readonly #controller: ReadableStreamDirectController;
  readonly #events: SinkEvents;
  /** After our own close, the controller's write() throws. */
  #isClosed = false;

  constructor(controller: ReadableStreamDirectController, events: SinkEvents) {
    this.#controller = controller;
    this.#events = events;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed) return true;
    // A number where the bytes were taken. A promise where the socket pushes back: they are taken
    // all the same, as a copy, and it resolves when there is room again.
    const written: number | Promise<number> = this.#controller.write(bytes);
    if (typeof written === "number") return true;
    const { onDrain } = this.#events;
    written.then(onDrain, onDrain);
    return false;
  }

  end(): void {
    this.#close();
  }

  /** The only call that drops a stalled peer at once (a TCP reset); it fires neither abort nor cancel. */
  drop(): void {
    this.#close(new Error("dropped"));
  }

  #close(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.onEnding();
    this.#controller.close(error);
    this.#events.onEnded();
  }
}
