/** How the page's one stream is. */
export type StreamState =
  | { readonly name: "connecting" }
  /** Open, and reading what it missed, until `live` has come. */
  | { readonly name: "behind" }
  | { readonly name: "live" }
  | {
      readonly name: "disconnected";
      readonly why: string;
      /** When it tries again (monotonic, ms). */
      readonly retryAtMs: number;
    }
  /** It makes no sense to try again before somebody has done something. */
  | { readonly name: "refused"; readonly status: number; readonly why: string }
  | { readonly name: "stopped" };

/** What could not be honoured of a position (protocol.md §4). */
export interface ResetNotice {
  readonly reason: string;
  readonly topics: readonly string[];
}

const MISSING: Readonly<Record<string, string>> = {
  malformed: "The position could not be read, so the stream goes on from now.",
  recreated: "The topic was deleted and made anew; it is read from its new start.",
  expired:
    "Events after the last one seen are older than what is kept; it goes on with the oldest that is held.",
  ahead: "The position lies beyond the topic's end; events may have been lost before it.",
  lost: "Kafka has lost or dropped events that came after the last one seen.",
  lagged: "This page was too slow, and events that it had not read yet are gone.",
};

/** What is missing, in words. */
export function describeReset({ reason, topics }: ResetNotice): string {
  const missing = MISSING[reason] ?? "Some events are missing.";
  return `${topics.join(", ")} (${reason}): ${missing}`;
}

const CLOSED: Readonly<Record<string, string>> = {
  shutdown: "The server is stopping",
  "max-age": "The server ends streams of this age",
  overloaded: "The server is overloaded",
  "too-many-connections": "Too many streams are open",
  "token-expired": "The token has expired",
};

/** Why the server ended the stream, in words; undefined for reasons that it does not give. */
export function describeClose(reason: string): string | undefined {
  return CLOSED[reason];
}
