import type { EndReason, Sink } from "../hub/subscriber.ts";
import type { Encoding } from "../sse/encoding.ts";
import { acceptsGzip } from "./accept.ts";
import type { HttpContext, RouteRequest } from "./context.ts";
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
): Response {
  const { hub, limits, log, metrics, authenticator } = context;
  const isGzip = acceptsGzip(request.headers.get("accept-encoding"));
  const deflater = isGzip ? context.deflater : undefined;
  if (request.method === "HEAD") {
    return new Response(null, { headers: streamHeaders(encoding, deflater !== undefined) });
  }
  if (hub.isDraining) return shed(request, "shutdown", metrics);
  const owner = { address: address(), user };
  const refusal = limits.refusal(owner);
  if (refusal) return shed(request, refusal, metrics);
  return streamResponse({
    request,
    server,
    encoding,
    deflater,
    onOpen: (sink) => {
      // Others may have come in between; a slot is taken only where a stream's end gives it back.
      const late = limits.refusal(owner);
      if (late) {
        metrics.streamsShed.inc({ reason: late });
        sink.write(shedBytes(encoding, late));
        sink.end();
        return { onDrain: () => undefined, onGone: () => undefined };
      }
      const release = limits.take(owner);
      return open({
        sink,
        expiresAtMs: principal.token?.expiresAtMs ?? Infinity,
        onEnded: (reason) => {
          release();
          log.streamEnded(requestId, reason);
          if (reason === "token-expired") authenticator.onExpired(principal);
        },
      });
    },
  });
}
