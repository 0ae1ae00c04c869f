import { createConnection } from "./connection.ts";
import { type MakeSource, openStream } from "./event-stream.ts";
import { fetchTransport } from "./fetch-transport.ts";
import type { EventOf, Schemas, Stream } from "./stream.ts";
import type { StreamOptions } from "./stream-options.ts";

/**
 * Opens a stream that comes back by itself, with its last id, and so brings each event once.
 *
 * ```ts
 * for await (const event of connect({ url, topics: ["orders"] })) console.log(event.data);
 * ```
 *
 * In `for await`, an event has been dealt with when the next one is asked for; a stream that has given
 * up throws its StreamError there, once what had come before has been taken.
 * @throws TypeError for options that cannot be used.
 */
export function connect<S extends Schemas = Schemas>(
  options: StreamOptions<S> = {},
): Stream<EventOf<S>> {
  return openStream(options, connectionSource(options));
}

/** What says how connections are made. */
export type ConnectionSettings = Pick<
  StreamOptions,
  "transport" | "withCredentials" | "fetch" | "backoff" | "maxReconnectAttempts" | "staleMs"
>;

/** Makes connections of its own. @throws TypeError for options that cannot be used. */
export function connectionSource({
  fetch,
  transport = fetchTransport(fetch),
  withCredentials = false,
  backoff,
  maxReconnectAttempts: maxAttempts = Infinity,
  staleMs: quietMs = 45_000,
}: ConnectionSettings): MakeSource {
  return ({ url: address, types = [], ...setup }) => {
    return createConnection({
      ...setup,
      transport: transport({ url: () => address, withCredentials, types }),
      backoff,
      maxAttempts,
      quietMs,
    });
  };
}
