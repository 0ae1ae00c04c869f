import type { Principal } from "../auth/principal.ts";
import type { EndReason, Sink } from "../hub/subscriber.ts";
import type { Encoding } from "../sse/encoding.ts";
import { acceptsGzip } from "./accept.ts";
import type { HttpContext, RouteRequest } from "./context.ts";
import type { Refusal, Release } from "./connection-limits.ts";
import { shed, shedBytes } from "./shed.ts";
import { streamHeaders, streamResponse, type StreamPeer } from "./stream.ts";

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
  readonly open: (stream: OpenedStream) => StreamPeer;
}

/** A stream within the limits of the server, the address and the user; one too many is turned away. */
export function limitedStream(
  context: HttpContext,
  { request, requestId, server, principal, address }: RouteRequest,
  { encoding, user, open }: LimitedStreamOptions,
): Response | Promise<Response> {
  const { hub, limits, metrics } = context;
  const isGzip = acceptsGzip(request.headers.get("accept-encoding"));
  const deflater = isGzip ? context.deflater : undefined;
  if (request.method === "HEAD") {
    return new Response(null, { headers: streamHeaders(encoding, deflater !== undefined) });
  }
  if (hub.isDraining) return shed(request, "shutdown", metrics);
  const answer = (slot: Refusal | Release): Response => {
    if (typeof slot === "string") return shed(request, slot, metrics);
    const admission = new Admission(slot, { context, requestId, principal });
    const onOpen = (sink: Sink): StreamPeer => {
      if (admission.open()) return open(admission.stream(sink));
      metrics.streamsShed.inc({ reason: "overloaded" });
      sink.write(shedBytes(encoding, "overloaded"));
      sink.end();
      return NOBODY;
    };
    return streamResponse({ request, server, encoding, deflater, onOpen });
  };
  const slot = limits.admit({ address: address(), user });
  return slot instanceof Promise ? slot.then(answer) : answer(slot);
}

/** Longer than any turn of the event loop that is not a fault already. */
const OPENING_MS = 5000;

/** A stream that was not opened has nobody who could be told. */
const NOBODY: StreamPeer = { onDrain: () => undefined, onGone: () => undefined };

interface Admitted {
  readonly context: HttpContext;
  readonly requestId: string;
  readonly principal: Principal;
}

/**
 * A stream that was let in, and counts. A client that has gone before its answer begins never opens
 * its stream, and nothing would give its slot back: so it has a lease until then.
 */
class Admission {
  /** Those that have not been opened, the oldest first. */
  static readonly #waiting = new Set<Admission>();
  /** One for all of them: most are over within a millisecond. */
  static #timer: NodeJS.Timeout | undefined;
  readonly #release: Release;
  readonly #admitted: Admitted;
  readonly #sinceMs = performance.now();

  constructor(release: Release, admitted: Admitted) {
    this.#release = release;
    this.#admitted = admitted;
    Admission.#waiting.add(this);
    Admission.#watch();
  }

  /** The stream is there; false: too late, its slot is gone. */
  open(): boolean {
    return Admission.#waiting.delete(this);
  }

  stream(sink: Sink): OpenedStream {
    const { token } = this.#admitted.principal;
    return {
      sink,
      expiresAtMs: token?.expiresAtMs ?? Infinity,
      onEnded: (reason) => this.#end(reason),
    };
  }

  #end(reason: EndReason): void {
    const { context, requestId, principal } = this.#admitted;
    this.#release();
    context.log.streamEnded(requestId, reason);
    if (reason === "token-expired") context.authenticator.onExpired(principal);
  }

  static #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const admission of this.#waiting) {
        if (performance.now() - admission.#sinceMs < OPENING_MS) break;
        this.#waiting.delete(admission);
        admission.#release();
      }
      if (this.#waiting.size > 0) this.#watch();
    }, OPENING_MS);
    // A client that never comes must not keep the process from ending.
    this.#timer.unref();
  }
}
