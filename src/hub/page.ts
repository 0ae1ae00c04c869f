import type { ReadableLog } from "../log/readable-log.ts";
import {
  formatPosition,
  hasReached,
  laterOf,
  MAX_ID_BYTES,
  type Position,
} from "../log/position.ts";
import type { StoredEntry } from "../log/stored-entry.ts";
import { encodeEvent, encodeId, ID_OVERHEAD_BYTES } from "../sse/encoding.ts";
import { type Audience, toEvent } from "../sse/event.ts";
import { MovingPosition } from "./moving-position.ts";
import { encodeReset, type ResetReason, resetReasonOf } from "./reset.ts";
import { isFor, type Subscription, type Viewer } from "./subscription.ts";

/**
 * The position that a subscriber came with, where this log interleaves the partitions otherwise, or
 * lags behind it: what lies below it is skipped, and ids never fall below it, until the log's own
 * position has reached it.
 */
export interface Target {
  readonly position: Position;
  /** The log's end when the target was set: what is re-created after it is news to the subscriber. */
  readonly atSeq: number;
}

/** Of the events up to a place only some are sent: the newest of each key (`recent` with `per=key`). */
export interface Picks {
  /** By topic, the last entry that was chosen from. */
  readonly until: ReadonlyMap<string, number>;
  /** The chosen ones; as many as `recent` allows. */
  readonly seqs: ReadonlySet<number>;
}

/** A point in the log from which a subscriber reads on. */
export interface ReadingPoint {
  /** The last entry behind the subscriber. */
  readonly seq: number;
  /** Where the subscription's topics stood there. */
  readonly state: Position;
  readonly target: Target | undefined;
  readonly picks: Picks | undefined;
}

/** A piece of replay: the frames of some entries, ready to be written. */
export interface Page {
  readonly bytes: Uint8Array;
  /** The same as writes: arrays that all who share the page are given, so that what is made of one serves all. */
  readonly pieces: readonly Uint8Array[];
  readonly events: number;
  /** The reasons of the `reset` events in it. */
  readonly resets: readonly ResetReason[];
  /** Where to read on after it. */
  readonly end: ReadingPoint;
  /** Whether every subscriber of the group at the same point gets the same bytes. */
  readonly isShared: boolean;
}

/** One write, and so one page, is not larger than this, but for a single larger event. */
export const MAX_WRITE_BYTES = 64 * 1024;

/** Entries that are looked at for a page: a filter that matches nothing takes small steps too. */
const PAGE_ENTRIES = 500;

/** Room for the id of an event whose body is known. */
const ID_LINE_BYTES = MAX_ID_BYTES + ID_OVERHEAD_BYTES;

/** Whether a body still fits into one write after `bytes` bytes. */
export function fitsWrite(bytes: number, body: Uint8Array): boolean {
  return bytes + body.byteLength + ID_LINE_BYTES <= MAX_WRITE_BYTES;
}

/** Where a subscriber stands: the point's state, or what it came with where that is further. */
export function positionOf({ state, target }: Pick<ReadingPoint, "state" | "target">): Position {
  return target ? laterOf(state, target.position) : state;
}

/** Who reads: what it asked for, and who it is. */
export interface Reader {
  readonly subscription: Subscription;
  readonly identity: Viewer;
}

/**
 * Reads and encodes the entries after a point, up to `lastSeq`.
 *
 * A page larger than one write holds the frame of the one entry after its point and nothing else.
 * So it can be made again, byte for byte, for a subscriber that took only a part of it: nothing is
 * kept for those who stall.
 */
export function readPage(
  log: ReadableLog,
  from: ReadingPoint,
  reader: Reader,
  lastSeq: number,
): Page {
  const { topics, encoding } = reader.subscription;
  const served = new Set(topics);
  const position = new MovingPosition(from.state);
  const chunks: Uint8Array[] = [];
  let { seq, target } = from;
  let bytes = 0;
  let events = 0;
  const resets: ResetReason[] = [];
  const { picks } = from;
  let isShared = target === undefined && picks === undefined;
  const id = (): string =>
    target
      ? formatPosition(positionOf({ state: position.snapshot(topics), target }))
      : position.id(topics);
  const push = (chunk: Uint8Array): void => {
    chunks.push(chunk);
    bytes += chunk.byteLength;
  };

  for (const entry of log.after(seq, PAGE_ENTRIES)) {
    if (entry.seq > lastSeq) break;
    if (!served.has(entry.topic)) {
      seq = entry.seq;
      continue;
    }
    const isBehind = target !== undefined && isBehindTarget(entry, target, position);
    const isLeftOut = isBehind || !isEvent(entry) || isPassedOver(entry, picks);
    const event = isLeftOut ? undefined : toEvent(entry);
    if (event?.audience && isPersonal(event.audience)) isShared = false;
    const body =
      event && isFor(event, reader.subscription, reader.identity)
        ? encodeEvent(encoding, event)
        : undefined;
    if (body && seq !== from.seq && !fitsWrite(bytes, body)) break;
    const reason = isBehind ? undefined : resetReasonOf(entry, position.tag(entry.topic));
    const requested = reason ? id() : "";
    position.advance(entry);
    if (target) target = remainingTarget(target, entry.topic, position, reason !== undefined);
    if (reason) {
      resets.push(reason);
      push(encodeReset(encoding, { reason, topics: [entry.topic], requested, position: id() }));
    }
    if (body) {
      push(encodeId(encoding, id()));
      push(body);
      events += 1;
    }
    seq = entry.seq;
  }
  const end = { seq, state: position.snapshot(topics), target, picks: remainingPicks(picks, seq) };
  const joined = Buffer.concat(chunks);
  return { bytes: joined, pieces: piecesOf(joined), events, resets, end, isShared };
}

function piecesOf(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += MAX_WRITE_BYTES) {
    pieces.push(bytes.subarray(at, at + MAX_WRITE_BYTES));
  }
  return pieces;
}

function isPassedOver({ seq, topic }: StoredEntry, picks: Picks | undefined): boolean {
  if (!picks || picks.seqs.has(seq)) return false;
  return seq <= (picks.until.get(topic) ?? 0);
}

function remainingPicks(picks: Picks | undefined, seq: number): Picks | undefined {
  return picks && Math.max(...picks.until.values()) > seq ? picks : undefined;
}

/** Whether an entry is shown as an event (if to anybody). */
export function isEvent(entry: StoredEntry): boolean {
  return entry.kind === "record" || entry.kind === "skipped";
}

/** Whether an event names users or clients: members of one group may then get different bytes. */
export function isPersonal({ users, clients }: Audience): boolean {
  return users.length > 0 || clients.length > 0;
}

/** Whether the subscriber has an entry already, by the position that it came with. */
function isBehindTarget(
  entry: StoredEntry,
  { position: target, atSeq }: Target,
  position: MovingPosition,
): boolean {
  const part = target.get(entry.topic);
  if (!part) return false;
  if (entry.kind === "topic") return entry.tag === part.tag || entry.seq <= atSeq;
  if (entry.tag !== part.tag) return true;
  const next = entry.offset + 1;
  // A truncation: the offsets up to the target are given again, to records that nobody has seen.
  if (entry.kind === "gap" && next < position.next(entry.topic, entry.partition)) return false;
  return next <= (part.offsets[entry.partition] ?? 0);
}

/** What is left of a target once `topic` has moved; undefined when the log has reached all of it. */
function remainingTarget(
  target: Target,
  topic: string,
  position: MovingPosition,
  isReset: boolean,
): Target | undefined {
  const part = target.position.get(topic);
  if (!part) return target;
  if (!isReset && !hasReached(position.snapshot([topic]).get(topic), part)) return target;
  const rest = new Map(target.position);
  rest.delete(topic);
  return rest.size > 0 ? { ...target, position: rest } : undefined;
}
