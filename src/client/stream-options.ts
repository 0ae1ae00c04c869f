import type { Fetch } from "./attempt.ts";
import type { Backoff } from "./reconnect-delay.ts";
import type {
  ConnectionNotice,
  EventOf,
  LiveNotice,
  PositionStorage,
  ResetNotice,
  Schemas,
  SkippedNotice,
  StatusDetail,
  StreamStatus,
} from "./stream.ts";
import type { SchemaIssue } from "./standard-schema.ts";
import type { Token } from "./token-source.ts";
import type { MakeTransport } from "./transport.ts";

/** What is asked for (docs/protocol.md, section 3). */
export interface Subscription {
  /** Names, or beginnings of names with `*`; all that may be read where it is left out. */
  readonly topics?: readonly string[] | undefined;
  /** As `topics`. */
  readonly types?: readonly string[] | undefined;
  readonly keys?: readonly string[] | undefined;
  /** Channels to join. */
  readonly channels?: readonly string[] | undefined;
  /** Where to begin without a position: `latest` (also where it is left out), `earliest`, `15m`, an instant. */
  readonly since?: string | Date | undefined;
  /** The newest so many events first; not together with `since`. */
  readonly recent?: number | undefined;
  /** With `recent`: the newest event of each key. */
  readonly per?: "key" | undefined;
  /** Whether `data` is the record's envelope: topic, offset, key, headers and payload. */
  readonly envelope?: boolean | undefined;
  /** The address for `headgate-client`, where the server lets one name it. */
  readonly clientId?: string | undefined;
  /** For development: who one says one is, where the server takes that. */
  readonly userId?: string | undefined;
  readonly username?: string | undefined;
}

export interface StreamOptions<S extends Schemas = Schemas> extends Subscription {
  /**
   * Where Headgate is, without the path of an endpoint: `https://events.example`. In a page it may be
   * relative to the page's address, and left out where both come from the same origin.
   */
  readonly url?: string | undefined;
  /** Another stream of the server than `/events`: `/stream`, `/stream/dashboard`. */
  readonly path?: string | undefined;
  /**
   * A JWT, or what gives one: that is asked before each connection, and a new connection is made
   * before a token ends.
   */
  readonly token?: Token | undefined;
  /** Whether cookies go to another origin. */
  readonly withCredentials?: boolean | undefined;
  /**
   * How the stream is read: with `fetch`, which can send the token in a header and waits for slow
   * readers, or, with `nativeEventSource`, by the runtime's own `EventSource`: then the token goes into
   * the address, and `types` (or `schemas`) must name each type.
   */
  readonly transport?: MakeTransport | undefined;
  /** Instead of the runtime's own. */
  readonly fetch?: Fetch | undefined;
  /** What the data of each type is. The stream then has these types, unless `types` says otherwise. */
  readonly schemas?: S | undefined;
  /** Goes on after this id. */
  readonly lastEventId?: string | undefined;
  /**
   * Keeps the position over page loads: `localStorage`, or what has its `getItem` and `setItem`. It is
   * written at most once a second, after the events were dealt with; those of the last second may come
   * again after a crash.
   */
  readonly storage?: PositionStorage | undefined;
  /** The name in `storage`; by default made of the address and the subscription. */
  readonly storageKey?: string | undefined;
  /** How the waits between attempts grow: from 5 s by 1.5 to 30 s, unless set otherwise. */
  readonly backoff?: Backoff | undefined;
  /** How many attempts in a row may fail before it gives up; without end by default. */
  readonly maxReconnectAttempts?: number | undefined;
  /** How long a connection may be without a byte: three heartbeats, 45 s, unless set otherwise. */
  readonly staleMs?: number | undefined;
  /** Lets go of the connection while the page is hidden, and then gets what it has missed. */
  readonly pauseWhenHidden?: boolean | undefined;
  /** How many events may wait to be dealt with before no more are read: 1,000. */
  readonly maxBuffered?: number | undefined;
  /** Closes the stream. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets each event, in order, the next one when it has resolved. If it throws, the stream ends in
   * `error`. Instead of it the stream can be iterated.
   */
  readonly onEvent?: ((event: EventOf<S>) => void | Promise<void>) | undefined;
  readonly onStatus?: ((status: StreamStatus, detail: StatusDetail) => void) | undefined;
  readonly onConnection?: ((notice: ConnectionNotice) => void) | undefined;
  /** In its place among the events. Without it a reset is written to the console as a warning. */
  readonly onReset?: ((notice: ResetNotice) => void) | undefined;
  /** In its place among the events. Without it, a warning. */
  readonly onSkipped?: ((notice: SkippedNotice) => void) | undefined;
  /** In its place among the events. */
  readonly onLive?: ((notice: LiveNotice) => void) | undefined;
  /** An event does not fit its schema, and is left out. Without it, a warning. */
  readonly onInvalid?: ((invalid: InvalidEvent) => void) | undefined;
}

/** What of an event did not fit its schema. */
export interface InvalidEvent {
  readonly type: string;
  readonly id: string;
  readonly text: string;
  readonly issues: readonly SchemaIssue[];
}
