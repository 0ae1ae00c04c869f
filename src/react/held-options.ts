import type { connect } from "../client/connect.ts";
import type { Schemas } from "../client/stream.ts";
import type { StreamOptions } from "../client/stream-options.ts";

/**
 * The options of `connect`. They are compared by value: only another one of what the stream is made of
 * opens a new stream. Callbacks, the token's function among them, may be others at each render.
 */
export interface HeldOptions<S extends Schemas = Schemas> extends Omit<StreamOptions<S>, "signal"> {
  /** What opens the stream, instead of the client's `connect`: what has its options, and gives a Stream. */
  readonly connect?: typeof connect | undefined;
}

/** Whether another value opens another stream. The others are taken when it is opened, or each time that they are called. */
const COMPARED: Readonly<Record<keyof HeldOptions, boolean>> = {
  url: true,
  path: true,
  topics: true,
  types: true,
  keys: true,
  channels: true,
  since: true,
  recent: true,
  per: true,
  envelope: true,
  clientId: true,
  userId: true,
  username: true,
  token: true,
  withCredentials: true,
  schemas: false, // only their types: below
  storageKey: true,
  backoff: true,
  maxReconnectAttempts: true,
  staleMs: true,
  pauseWhenHidden: true,
  maxBuffered: true,
  lastEventId: false,
  storage: false,
  transport: false,
  fetch: false,
  connect: false,
  onEvent: false,
  onStatus: false,
  onConnection: false,
  onReset: false,
  onSkipped: false,
  onLive: false,
  onInvalid: false,
};

/** What a stream is made of, as text: equal for equal options. */
export function streamKey(options: HeldOptions): string {
  const { token, schemas } = options;
  const entries = Object.entries(COMPARED)
    .filter(([, isCompared]) => isCompared)
    // Of the table above, whose keys are these.
    .map(([name]) => [name, options[name as keyof HeldOptions]]);
  return JSON.stringify([
    entries,
    // There is a token, or there is none: which one its function gives is not to be known.
    typeof token,
    // They name the types that are asked for.
    schemas && Object.keys(schemas),
  ]);
}

/**
 * Whether the position of one stream says where another begins: so that nothing is missed while topics
 * or filters change. Not where that one asks for events of the past.
 */
export function continues(next: HeldOptions, previous: HeldOptions): boolean {
  if (streamKey(next) === streamKey(previous)) return true;
  const { path = "/events", since, recent } = next;
  const isSameServer = next.url === previous.url && path === (previous.path ?? "/events");
  return isSameServer && path === "/events" && since === undefined && recent === undefined;
}
