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
  /** Called when the response is under way; returns whom to tell of its peer. */
  readonly onOpen: (sink: Sink) => StreamPeer;
}

/** Who is told what an open stream's peer does. */
export interface StreamPeer {
  /** It takes bytes again. */
  onDrain(): void;
  /** It has gone. */
  onGone(): void;
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
  const { encoding, deflater } = options;
  const body = new ReadableStream(new DirectStream(options));
  return new Response(body, { headers: streamHeaders(encoding, deflater !== undefined) });
}

/** The timeout outlives the response: without one the socket of an ended stream is never reaped. */
const END_TIMEOUT_S = 2;

/**
 * The bytes of one response: what Bun asks for them, and where they are written. A class, not
 * closures: thousands of these stay, a turn walks them all, and each object less is memory and a
 * cache miss less.
 */
class DirectStream implements Sink, Bun.DirectUnderlyingSource<Uint8Array> {
  readonly type = "direct";
  readonly #request: Request;
  readonly #server: Bun.Server<undefined>;
  /** How it opens; let go of once it is open. */
  #opening: Pick<StreamOptions, "deflater" | "onOpen"> | undefined;
  #controller: ReadableStreamDirectController | undefined;
  #peer: StreamPeer | undefined;
  #onEnded: (() => void) | undefined;
  /** After our own close, the controller's write() throws. */
  #isClosed = false;

  constructor(options: StreamOptions) {
    this.#request = options.request;
    this.#server = options.server;
    this.#opening = options;
  }

  pull(controller: ReadableStreamDirectController): Promise<void> | undefined {
    const opening = this.#opening;
    if (!opening) return undefined;
    this.#opening = undefined;
    this.#controller = controller;
    // The default idle timeout, 10 s, would end quiet streams.
    this.#server.timeout(this.#request, 0);
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    });
    const { deflater, onOpen } = opening;
    this.#peer = onOpen(deflater ? new GzipSink(this, deflater) : this);
    return ended;
  }

  cancel(): void {
    this.#peer?.onGone();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || !this.#controller) return true;
    // A number where the bytes were taken. A promise where the socket pushes back: they are taken
    // all the same, as a copy, and it resolves when there is room again.
    const written: number | Promise<number> = this.#controller.write(bytes);
    if (typeof written === "number") return true;
    const onDrain = (): void => this.#peer?.onDrain();
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
    this.#server.timeout(this.#request, END_TIMEOUT_S);
    this.#controller?.close(error);
    this.#onEnded?.();
  }
}
