import type { EndReason, Sink } from "../hub/subscriber.ts";
import type { Encoding } from "../sse/encoding.ts";
import { acceptsGzip } from "./accept.ts";
import type { HttpContext, RouteRequest } from "./context.ts";
import type { Refusal, Release } from "./connection-limits.ts";
import { shed, shedBytes } from "./shed.ts";
import { streamHeaders, streamResponse, type StreamOptions } from "./stream.ts";

/** A stream that may be opened: it counts until its end is told. */
export interface OpenedStream {
  readonly sink: Sink;
  /** When its principal's right to it ends (milliseconds since 1970); Infinity where it does not. */
  readonly expiresAtMs: number;
  /** To be called once, however the stream ends. */
  readonly onEnded: (reason: EndReason) => void;
}

interface LimitedStreamOptions {
  readonly encoding: Encoding;
  /** Whose it is, for the limit of streams of one user. */
  readonly user: string | undefined;
  readonly open: (stream: OpenedStream) => ReturnType<StreamOptions["onOpen"]>;
}

/** A stream within the limits of the server, the address and the user; one too many is turned away. */
export function limitedStream(
  context: HttpContext,
  { request, requestId, server, principal, address }: RouteRequest,
  { encoding, user, open }: LimitedStreamOptions,
): Response | Promise<Response> {
  const { hub, limits, log, metrics, authenticator } = context;
  const isGzip = acceptsGzip(request.headers.get("accept-encoding"));
  const deflater = isGzip ? context.deflater : undefined;
  if (request.method === "HEAD") {
    return new Response(null, { headers: streamHeaders(encoding, deflater !== undefined) });
  }
  if (hub.isDraining) return shed(request, "shutdown", metrics);
  const answer = (slot: Refusal | Release): Response => {
    if (typeof slot === "string") return shed(request, slot, metrics);
    const opening = new Opening(slot);
    return streamResponse({
      request,
      server,
      encoding,
      deflater,
      onOpen: (sink) => {
        if (!opening.finish()) {
          metrics.streamsShed.inc({ reason: "overloaded" });
          sink.write(shedBytes(encoding, "overloaded"));
          sink.end();
          return { onDrain: () => undefined, onGone: () => undefined };
        }
        return open({
          sink,
          expiresAtMs: principal.token?.expiresAtMs ?? Infinity,
          onEnded: (reason) => {
            slot();
            log.streamEnded(requestId, reason);
            if (reason === "token-expired") authenticator.onExpired(principal);
          },
        });
      },
    });
  };
  const slot = limits.admit({ address: address(), user });
  return slot instanceof Promise ? slot.then(answer) : answer(slot);
}

/** Longer than any turn of the event loop that is not a fault already. */
const OPENING_MS = 5000;

/**
 * A slot between the answer and the stream: a client that has gone before its answer begins never
 * opens its stream, and nothing would give its slot back.
 */
class Opening {
  /** Those that have not been opened, the oldest first. */
  static readonly #waiting = new Set<Opening>();
  /** One for all of them: most are over within a millisecond. */
  static #timer: NodeJS.Timeout | undefined;
  readonly #release: Release;
  readonly #sinceMs = performance.now();

  constructor(release: Release) {
    this.#release = release;
    Opening.#waiting.add(this);
    Opening.#watch();
  }

  /** The stream is there; false: too late, its slot is gone. */
  finish(): boolean {
    return Opening.#waiting.delete(this);
  }

  static #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const opening of this.#waiting) {
        if (performance.now() - opening.#sinceMs < OPENING_MS) break;
        this.#waiting.delete(opening);
        opening.#release();
      }
      if (this.#waiting.size > 0) this.#watch();
    }, OPENING_MS);
    // A client that never comes must not keep the process from ending.
    this.#timer.unref();
  }
}
