import { formatPosition, type Position } from "../log/position.ts";
import type { StoredEntry } from "../log/stored-entry.ts";
import { type Encoding, encodeSystem } from "../sse/encoding.ts";

/** Why a position cannot be honoured (`docs/protocol.md`, "Position ids and resuming"). */
export type ResetReason = "malformed" | "recreated" | "expired" | "ahead" | "lost" | "lagged";

export interface Reset {
  readonly reason: ResetReason;
  readonly topics: readonly string[];
  /** The id that could not be honoured, as it was given or last sent. */
  readonly requested: string;
  /** The id at which the stream goes on. */
  readonly position: string;
}

/** An id from a stranger is echoed no further than this. */
const REQUESTED_LENGTH = 100;

export function encodeReset(
  encoding: Encoding,
  { reason, topics, requested, position }: Reset,
): Uint8Array {
  const data = { reason, topics, requested: requested.slice(0, REQUESTED_LENGTH), position };
  return encodeSystem(encoding, "reset", JSON.stringify(data), position);
}

/** Whether an entry is one that every stream passing it must be told of. `tagBefore`: the topic's tag there. */
export function resetReasonOf(
  entry: StoredEntry,
  tagBefore: string | undefined,
): "lost" | "recreated" | undefined {
  if (entry.kind === "gap") return "lost";
  if (entry.kind !== "topic" || tagBefore === undefined) return undefined;
  return entry.tag === tagBefore ? undefined : "recreated";
}

/** A reset of some topics, and where each of them goes on. */
export interface PlannedReset {
  readonly reason: ResetReason;
  readonly to: Position;
}

/**
 * The reset events that lead from a position to where all of `planned` have happened, one after the
 * other. Each one's id leaves the topics that are still to be reset as they were: whoever is cut off
 * between two of them, and comes back, is told of the rest.
 */
export function applyResets(
  from: Position,
  planned: readonly PlannedReset[],
  requested?: string,
): Reset[] {
  let position = from;
  return planned.map(({ reason, to }) => {
    const before = formatPosition(position);
    position = new Map([...position, ...to]);
    return {
      reason,
      topics: [...to.keys()],
      requested: requested ?? before,
      position: formatPosition(position),
    };
  });
}
