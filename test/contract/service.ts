/**
 * The test service of LaunchDarkly's SSE contract tests: their harness tells it over HTTP to open and
 * close streams with our client, and gets told what the client shows. README.md says how to run it.
 *
 *     bun test/contract/service.ts [port]
 */
import { connect } from "../../src/client/connect.ts";
import type { Stream } from "../../src/client/stream.ts";

/**
 * What the client can do of what is optional. Not there: comments are not shown; headers, methods and
 * bodies of the caller's own can only be had by an own `fetch`; `retryNow` ends a wait, and does not
 * restart a stream that is open; types need not be listened for.
 */
const CAPABILITIES = ["bom", "last-event-id", "read-timeout", "server-directed-shutdown-request"];

/** What the harness asks for: of its `POST /`. */
interface StreamRequest {
  readonly streamUrl: string;
  readonly callbackUrl: string;
  readonly initialDelayMs?: number | null;
  readonly readTimeoutMs?: number | null;
  readonly lastEventId?: string;
}

/** What the harness is told. */
type Message =
  | { kind: "event"; event: { type: string; data: string; id: string } }
  | { kind: "error"; error: string };

const streams = new Map<string, Stream>();
let nextStream = 1;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8000),
  routes: {
    "/": {
      GET: () => Response.json({ capabilities: CAPABILITIES }),
      POST: async (request) => {
        // The cast holds: the harness is who asks.
        const stream = open((await request.json()) as StreamRequest);
        const path = `/streams/${nextStream++}`;
        streams.set(path, stream);
        return new Response(null, { status: 201, headers: { Location: path } });
      },
      DELETE: () => {
        void server.stop();
        return new Response();
      },
    },
    "/streams/:stream": {
      DELETE: ({ url }) => {
        const { pathname } = new URL(url);
        streams.get(pathname)?.close();
        return new Response(null, { status: streams.delete(pathname) ? 204 : 404 });
      },
    },
  },
  fetch: () => new Response(null, { status: 404 }),
});
console.log(`Listening on ${server.url.href}`);

function open(request: StreamRequest): Stream {
  const { streamUrl, callbackUrl, initialDelayMs, readTimeoutMs, lastEventId } = request;
  const { origin, pathname } = new URL(streamUrl);
  const tell = messenger(callbackUrl);
  return connect({
    url: origin,
    path: pathname,
    lastEventId,
    staleMs: readTimeoutMs ?? undefined,
    ...(typeof initialDelayMs === "number" && { backoff: { firstMs: initialDelayMs } }),
    onEvent: ({ type, text: data, id }) => tell({ kind: "event", event: { type, data, id } }),
    onStatus: (_status, { why }) => {
      if (why) void tell({ kind: "error", error: why.message });
    },
  });
}

/** Sends messages one after the other, each with its number from 1, as the harness wants them. */
function messenger(callbackUrl: string): (message: Message) => Promise<void> {
  let count = 0;
  let last = Promise.resolve();
  return (message) => {
    const url = `${callbackUrl}/${(count += 1)}`;
    const send = async (): Promise<void> => {
      // Once a test is over nobody listens any more.
      await fetch(url, { method: "POST", body: JSON.stringify(message) }).catch(() => undefined);
    };
    return (last = last.then(send));
  };
}
