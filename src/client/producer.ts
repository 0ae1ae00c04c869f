import type { NotificationKind } from "../notifications/kinds.ts";
import type { NotificationArguments } from "../notifications/arguments.ts";
import type { Fetch } from "./attempt.ts";
import { parseBaseUrl } from "./base-url.ts";
import { pause } from "./deadline.ts";
import { deliver } from "./deliver.ts";
import { checkIdempotencyKey, createIdempotencyKey } from "./idempotency-key.ts";
import type { Published } from "./published.ts";

export interface ProducerOptions {
  /** Where Headgate is, without the path of an endpoint: `https://events.example`. */
  readonly url: string;
  /** A JWT, or what gives one: it is asked before each attempt. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Instead of the runtime's own. */
  readonly fetch?: Fetch | undefined;
  /** How long each attempt may take. Longer than the server's PUBLISH_TIMEOUT: it is to answer first. */
  readonly timeoutMs?: number | undefined;
  /** How many attempts may follow the first. */
  readonly maxRetries?: number | undefined;
}

export interface CallOptions {
  /**
   * Calls with the same one make one event, within the server's DATA_RETENTION. 1 to 128 printable
   * characters; a random one where it is left out.
   */
  readonly idempotencyKey?: string | undefined;
  /** Aborts the call, which rejects with a PublishError: it may be stored all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** What an event may have beside its data. */
export interface EventOptions {
  /** What subscribers see as `event:`. */
  readonly type?: string | undefined;
  /** The server's default topic where it is left out. */
  readonly topic?: string | undefined;
  /** Events of one key stay in order. */
  readonly key?: string | null | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface ProducerEvent extends EventOptions {
  /** Any JSON; `null` with a key is a tombstone. */
  readonly data: unknown;
  /** Whom it is for; all subscribers where it is left out. Several widen the audience. */
  readonly to?: Readonly<
    Partial<Record<"user" | "channel" | "client", string | readonly string[]>>
  >;
}

/**
 * Publishes over HTTP. Every call is retried while that makes sense, and makes its events once
 * however often it is retried; it resolves when they are stored, and rejects with a PublishError.
 */
export interface Producer {
  /** One event, or several that are checked together. */
  readonly publish: (
    events: ProducerEvent | readonly ProducerEvent[],
    options?: CallOptions,
  ) => Promise<Published>;
  /** To every subscriber. */
  readonly broadcast: (data: unknown, options?: EventOptions & CallOptions) => Promise<Receivers>;
  /** To all streams of one user. */
  readonly sendToUser: Send;
  /** To those who joined a channel. */
  readonly sendToChannel: Send;
  /** To the stream of one client id. */
  readonly sendToClient: Send;
  /** A notification of one of the server's kinds, such as `payment`; the server checks it. */
  readonly sendNotification: <K extends NotificationKind>(
    kind: K,
    ...notification: [...NotificationArguments<K>, options?: CallOptions]
  ) => Promise<Published>;
}

type Send = (
  name: string,
  data: unknown,
  options?: EventOptions & CallOptions,
) => Promise<Receivers>;

/** How many open streams of the instance that answered the event reaches; 0: nobody is there. */
type Receivers = number;

/** Longest that timers can wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Needs nothing but `fetch`: it runs on Bun, Node, Deno and in browsers.
 * @throws TypeError or RangeError for options that cannot be used.
 */
export function createProducer({
  url,
  token,
  fetch: ownFetch,
  timeoutMs = 15_000,
  maxRetries = 5,
}: ProducerOptions): Producer {
  const base = parseBaseUrl(url);
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new RangeError(`timeoutMs must be more than 0 and at most ${MAX_TIMEOUT_MS}`);
  }
  if (!(maxRetries >= 0)) throw new RangeError("maxRetries must be 0 or more");
  const delivery = {
    // Called without a `this`, which browsers insist on; looked up late, so that it can be replaced.
    fetch: ownFetch ?? ((...args: Parameters<Fetch>) => fetch(...args)),
    token: typeof token === "function" ? token : () => token,
    timeoutMs,
    maxRetries,
    random: Math.random,
    pause,
  };

  async function post(
    path: string,
    content: unknown,
    options: CallOptions = {},
  ): Promise<Published> {
    const idempotencyKey = checkIdempotencyKey(options.idempotencyKey ?? createIdempotencyKey());
    // Written once: what the caller changes later does not change what a retry sends.
    const body = JSON.stringify(content);
    return deliver({ url: base + path, body, idempotencyKey, signal: options.signal }, delivery);
  }

  async function send(
    to: ProducerEvent["to"],
    data: unknown,
    { type, topic, key, headers, ...call }: EventOptions & CallOptions = {},
  ): Promise<Receivers> {
    const { receivers } = await post("/events", { type, topic, key, headers, to, data }, call);
    return receivers;
  }

  return {
    publish: (events, options) => post("/events", events, options),
    broadcast: (data, options) => send(undefined, data, options),
    sendToUser: (user, data, options) => send({ user }, data, options),
    sendToChannel: (channel, data, options) => send({ channel }, data, options),
    sendToClient: (client, data, options) => send({ client }, data, options),
    sendNotification: (kind, id, status, details, target, targetId, metadata, options) => {
      const body = { id, status, details, target, targetId, metadata };
      return post(`/notifications/${encodeURIComponent(kind)}`, body, options);
    },
  };
}
