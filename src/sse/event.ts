import { isUtf8 } from "node:buffer";
import type { StoredEntry } from "../log/stored-entry.ts";

/** Whom a record names; several widen the audience. Undefined: every subscriber whose subscription matches. */
export interface Audience {
  readonly users: readonly string[];
  readonly channels: readonly string[];
  readonly clients: readonly string[];
}

/** A `record` or `skipped` entry as subscribers see it (`docs/protocol.md`, "From record to event"). */
export interface Event {
  readonly entry: StoredEntry;
  /** The `event:` of the event, `message` where it has none. Undefined: not known (an undecodable batch). */
  readonly type: string | undefined;
  /** The record's key as text, for matching; undefined where there is none, or none is known. */
  readonly key: string | undefined;
  readonly audience: Audience | undefined;
  /** Whether the value is shown as text: UTF-8 without NUL. Anything else is shown as base64. */
  readonly isText: boolean;
  /** Whether the record names a type that cannot be shown. */
  readonly isTypeLeftOut: boolean;
}

/** Names of system events, and those that EventSource or this protocol give a meaning: never a record's type. */
const RESERVED_TYPES: ReadonlySet<string> = new Set([
  "connection",
  "reset",
  "live",
  "heartbeat",
  "skipped",
  "close",
  "error",
  "open",
  "binary",
  "delete",
  "message",
]);

export function isReservedType(type: string): boolean {
  return RESERVED_TYPES.has(type);
}

// C0, DEL and C1: none of them belongs in a name, and CR, LF and NUL would break the frame or the
// parser's rules. U+2028 and U+FEFF end no line in SSE, and pass.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001F\u007F-\u009F]/;

export function hasControlCharacter(text: string): boolean {
  return CONTROL.test(text);
}

/** What subscribers see of an entry of kind `record` or `skipped`. */
export function toEvent(entry: StoredEntry): Event {
  const isText = entry.value !== null && isUtf8(entry.value) && !entry.value.includes(0);
  const named = namedType(entry.headers);
  return {
    entry,
    isText,
    isTypeLeftOut: named.isLeftOut,
    type: entry.reason === "undecodable" ? undefined : eventType(entry, named.type, isText),
    key: entry.key === null ? undefined : Buffer.from(entry.key).toString(),
    audience: audienceOf(entry),
  };
}

/** The type that a record's headers name, if it can be shown; `isLeftOut` where they name one that cannot. */
export function namedType(headers: StoredEntry["headers"]): {
  type: string | undefined;
  isLeftOut: boolean;
} {
  const named =
    headers.find(([name]) => name === "type") ?? headers.find(([name]) => name === "ce_type");
  if (!named) return { type: undefined, isLeftOut: false };
  const type = isUtf8(named[1]) ? Buffer.from(named[1]).toString() : undefined;
  if (type === "" || type === "message") return { type: undefined, isLeftOut: false };
  const isShown = type !== undefined && !hasControlCharacter(type) && !isReservedType(type);
  return isShown ? { type, isLeftOut: false } : { type: undefined, isLeftOut: true };
}

function eventType(entry: StoredEntry, named: string | undefined, isText: boolean): string {
  if (entry.kind === "record" && entry.value === null) return "delete";
  return named ?? (isText || entry.kind === "skipped" ? "message" : "binary");
}

function audienceOf({ headers }: StoredEntry): Audience | undefined {
  let audience: { users: string[]; channels: string[]; clients: string[] } | undefined;
  for (const [name, value] of headers) {
    if (!name.startsWith("headgate-")) continue;
    const list = AUDIENCE_HEADERS.get(name);
    if (!list) continue;
    audience ??= { users: [], channels: [], clients: [] };
    // Read with replacement characters, all that is no UTF-8 would name one and the same.
    if (isUtf8(value)) audience[list].push(Buffer.from(value).toString());
  }
  return audience;
}

const AUDIENCE_HEADERS = new Map<string, "users" | "channels" | "clients">([
  ["headgate-user", "users"],
  ["headgate-channel", "channels"],
  ["headgate-client", "clients"],
]);
