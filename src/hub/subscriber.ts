import { formatPosition, parsePosition } from "../log/position.ts";
import type { Group } from "./group.ts";
import { type Page, positionOf, type ReadingPoint } from "./page.ts";
import type { StartRequest } from "./start-position.ts";
import type { Identity } from "./subscription.ts";

/** Why a stream ended: the reasons of `close`, or the client left, or took nothing for too long. */
export type EndReason = "client" | "stalled" | CloseReason;

export type CloseReason =
  | "shutdown"
  | "max-age"
  | "token-expired"
  | "overloaded"
  | "too-many-connections";

/** Where a subscriber's bytes go: one open response. */
export interface Sink {
  /**
   * Writes at most `MAX_WRITE_BYTES`; all of it is taken. False: the peer pushes back; write no
   * more until `onDrain`.
   */
  write(bytes: Uint8Array): boolean;
  /** Ends the response after what was written. */
  end(): void;
  /** Cuts the connection at once, with whatever is under way. */
  drop(): void;
}

/** What a subscriber is doing. */
export type Activity =
  /** Its start is not known yet. `givenId` is a well-formed id that it came with. */
  | { readonly kind: "waiting"; readonly givenId: string | undefined }
  /** It reads pages from the log. */
  | {
      readonly kind: "reading";
      point: ReadingPoint;
      /** Of the page after `point`: bytes that were written already. */
      written: number;
      /** That page, while the subscriber takes it; let go of when it pushes back. */
      page: Page | undefined;
    }
  /** It is caught up, and gets its group's bytes. */
  | { readonly kind: "live" }
  | { readonly kind: "ended" };

/** One open event stream. Its memory is flat: where it is behind, it holds a point in the log, no events. */
export class Subscriber {
  readonly identity: Identity;
  readonly group: Group;
  readonly sink: Sink;
  /** With whom it takes turns while it is live: see `lanes.ts`. */
  readonly lane: number;
  /** When the stream has reached its age (monotonic, ms). */
  readonly endsAtMs: number;
  /** When its right to read ends (milliseconds since 1970). */
  readonly expiresAtMs: number;
  /** When it was opened (monotonic, ms). */
  readonly openedMs: number;
  readonly onEnded: (reason: EndReason) => void;
  activity: Activity;
  /** When bytes of its own last went out (monotonic, ms); shared ones count in its group. */
  lastWriteMs: number;
  /** Since when the peer has pushed back; undefined while it takes bytes. */
  blockedSinceMs: number | undefined;
  /** Whether the `connection` event is out: nothing may come before it. */
  isGreeted = false;
  /** Events sent before the `live` event; undefined once that is sent. */
  replayed: number | undefined = 0;
  /** Set when the stream must end after a whole event. */
  closing: { readonly reason: CloseReason; readonly reconnect: boolean } | undefined;
  /** Cancels what still works on its start; undefined when that is done. */
  starting: AbortController | undefined;

  constructor(options: {
    identity: Identity;
    group: Group;
    lane: number;
    sink: Sink;
    nowMs: number;
    endsAtMs: number;
    expiresAtMs: number;
    start: StartRequest;
    onEnded: (reason: EndReason) => void;
  }) {
    this.identity = options.identity;
    this.group = options.group;
    this.sink = options.sink;
    this.lane = options.lane;
    this.endsAtMs = options.endsAtMs;
    this.expiresAtMs = options.expiresAtMs;
    this.openedMs = options.nowMs;
    this.onEnded = options.onEnded;
    this.lastWriteMs = options.nowMs;
    const { lastEventId } = options.start;
    const isGiven = lastEventId !== undefined && parsePosition(lastEventId) !== undefined;
    this.activity = { kind: "waiting", givenId: isGiven ? lastEventId : undefined };
  }

  get subscription(): Group["subscription"] {
    return this.group.subscription;
  }

  get isEnded(): boolean {
    return this.activity.kind === "ended";
  }

  /** Writes, and notes whether the peer pushes back. */
  write(bytes: Uint8Array, nowMs: number): boolean {
    this.lastWriteMs = nowMs;
    const isTaken = this.sink.write(bytes);
    if (!isTaken) this.blockedSinceMs ??= nowMs;
    return isTaken;
  }
}

/** Where a subscriber stands; undefined where that is not known yet, or is where all live ones are. */
export function currentId({ activity }: Subscriber): string | undefined {
  if (activity.kind === "waiting") return activity.givenId;
  return activity.kind === "reading" ? formatPosition(positionOf(activity.point)) : undefined;
}
