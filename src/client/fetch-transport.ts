import { createParser } from "eventsource-parser";
import type { Fetch } from "./attempt.ts";
import { problemText } from "./problem.ts";
import {
  type Ending,
  lost,
  type MakeTransport,
  type TransportRequest,
  type TransportSink,
} from "./transport.ts";

/** An event that never ends must not fill the memory: the largest that a server lets through is far smaller. */
const MAX_EVENT_CHARACTERS = 64 << 20;

/** Reads with `fetch`: the token travels in a header, and what is not taken is not read. */
export function fetchTransport(ownFetch: Fetch = (...args) => fetch(...args)): MakeTransport {
  return ({ url, withCredentials }) =>
    async (request, sink) => {
      const { token, lastEventId, signal } = request;
      const response = await ownFetch(url(), {
        headers: {
          Accept: "text/event-stream",
          ...(token && { Authorization: `Bearer ${token}` }),
          ...(lastEventId && { "Last-Event-ID": headerText(lastEventId) }),
        },
        signal,
        cache: "no-store",
        credentials: withCredentials ? "include" : "same-origin",
      });
      return (await refusalOf(response)) ?? read(response, request, sink);
    };
}

async function read(
  { body }: Response,
  { lastEventId: id = "", signal }: TransportRequest,
  sink: TransportSink,
): Promise<Ending> {
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onRetry: sink.onRetry,
    // [WHATWG HTML §9.2.6] the last event id stays until another one comes.
    onId: (next) => (id = next),
    onEvent: ({ event: type = "message", data }) => sink.onFrame({ type, id, data }),
  });
  // The parser takes away the byte order mark: one, not two.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = body?.getReader();
  for (;;) {
    await sink.gate.opened();
    const piece = await reader?.read();
    // Who gives the body, a fetch of the user's own, may not heed the signal.
    if (!piece || piece.done || signal.aborted) break;
    sink.onBytes();
    parser.feed(decoder.decode(piece.value, { stream: true }));
  }
  await reader?.cancel();
  return lost("ended", "The server ended the stream");
}

/** What is no stream; undefined: it is one. */
async function refusalOf(response: Response): Promise<Ending | undefined> {
  const { status, headers } = response;
  const isStream = /^text\/event-stream *(?:;|$)/i.test(headers.get("content-type") ?? "");
  if (status === 200 && isStream) return undefined;
  const message = await problemText(response);
  const why = { reason: "refused", message, httpStatus: status };
  // What passes by itself: the server's faults, limits, and other people's pages.
  // [WHATWG HTML §9.2.3] 204 asks a client not to come back.
  const passes = status >= 500 || status === 429 || status === 408 || status < 400;
  if (!passes || status === 204) return { kind: "refused", why };
  // [RFC 9110 §10.2.3] a date is possible as well; the backoff will do for that.
  const retryMs = Number(headers.get("retry-after")) * 1000 || 0;
  return { kind: "lost", why, retryMs };
}

/** Headers carry bytes: those of UTF-8, as `EventSource` sends them. */
function headerText(id: string): string {
  return String.fromCharCode(...new TextEncoder().encode(id));
}
