import { isUtf8 } from "node:buffer";
import type { Encoding } from "../sse/encoding.ts";
import type { Audience, Event } from "../sse/event.ts";

/** Event types that a subscriber asked for: names, and prefixes (written `order.*`). */
export interface TypeFilter {
  readonly exact: ReadonlySet<string>;
  readonly prefixes: readonly string[];
}

/** What a subscriber asked for. Subscribers with equal subscriptions share their frames. */
export interface Subscription {
  /** Served topics, in byte order, each once. */
  readonly topics: readonly string[];
  readonly types: TypeFilter | undefined;
  readonly keys: ReadonlySet<string> | undefined;
  readonly channels: ReadonlySet<string>;
  readonly encoding: Encoding;
}

/** Whom targeted events are matched with. */
export interface Viewer {
  readonly clientId: string | undefined;
  readonly user: string | undefined;
}

/** Who a subscriber is. */
export interface Identity extends Viewer {
  readonly clientId: string;
  readonly username: string | undefined;
}

/** Equal for equal subscriptions, whatever the order in which the request named things. */
export function subscriptionKey(subscription: Subscription): string {
  const { topics, types, keys, channels, encoding } = subscription;
  const sorted = (items: Iterable<string> | undefined) => items && [...items].toSorted();
  return JSON.stringify([
    topics,
    sorted(types?.exact),
    sorted(types?.prefixes),
    sorted(keys),
    sorted(channels),
    encoding,
  ]);
}

const NO_BYTES = new Uint8Array();

/** Whether the topics, types and keys match. What is not known of an event (undecodable) matches. */
export function matchesFilters(subscription: Subscription, event: Event): boolean {
  const { topics, types, keys } = subscription;
  if (!topics.includes(event.entry.topic)) return false;
  if (event.type === undefined) return true;
  if (types && !matchesType(types, event.type)) return false;
  if (!keys) return true;
  // A key that is no text, read as one, could be another's: it is none that can be asked for.
  return event.key !== undefined && keys.has(event.key) && isUtf8(event.entry.key ?? NO_BYTES);
}

/** Whether a targeted event names this subscriber: its user, its client id, or a channel it joined. */
function isNamed({ channels }: Subscription, viewer: Viewer, audience: Audience): boolean {
  if (audience.channels.some((channel) => channels.has(channel))) return true;
  const { user, clientId } = viewer;
  return (
    (user !== undefined && audience.users.includes(user)) ||
    (clientId !== undefined && audience.clients.includes(clientId))
  );
}

/** Whether a subscriber gets an event: the one rule for live delivery, replay and look-ups. */
export function isFor(event: Event, subscription: Subscription, viewer: Viewer): boolean {
  return (
    matchesFilters(subscription, event) &&
    (!event.audience || isNamed(subscription, viewer, event.audience))
  );
}

function matchesType({ exact, prefixes }: TypeFilter, type: string): boolean {
  return exact.has(type) || prefixes.some((prefix) => type.startsWith(prefix));
}
