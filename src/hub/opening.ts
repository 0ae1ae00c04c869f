import { setTimeout as delay } from "node:timers/promises";
import type { ReadableLog } from "../log/readable-log.ts";
import { formatPosition, hasReached, type Position } from "../log/position.ts";
import { encodeSystem } from "../sse/encoding.ts";
import type { FairTurns } from "./fair-turns.ts";
import type { Source } from "./source.ts";
import type { ReadingPoint } from "./page.ts";
import { encodeReset, type ResetReason } from "./reset.ts";
import { resolveStart, type Start, type StartRequest } from "./start-position.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

export interface OpeningContext {
  readonly turns: FairTurns;
  /** Resolves when the server is ready. */
  readonly attached: Promise<Source>;
  /** How far the live ones of its lane have been served. */
  readonly liveSeq: () => number;
  readonly onReset: (reason: ResetReason, subscribers: number) => void;
  /** Called for those that came with a position, with why it could not be honoured, if so. */
  readonly onResumed: (reset: ResetReason | undefined) => void;
}

/** How long the `connection` event waits for the id that it should carry. */
const CONNECTION_WAIT_MS = 250;

/**
 * Sends what a stream begins with: `connection`, and the resets that it needs. Resolves with the
 * point from which to read; undefined where the subscriber left before that.
 */
export async function openStream(
  subscriber: Subscriber,
  request: StartRequest,
  context: OpeningContext,
): Promise<ReadingPoint | undefined> {
  const starting = new AbortController();
  subscriber.starting = starting;
  try {
    return await open(subscriber, request, { ...context, signal: starting.signal });
  } finally {
    subscriber.starting = undefined;
  }
}

type Opening = OpeningContext & { readonly signal: AbortSignal };

async function open(
  subscriber: Subscriber,
  request: StartRequest,
  context: Opening,
): Promise<ReadingPoint | undefined> {
  const { signal } = context;
  const resolved = resolve(subscriber, request, context);
  resolved.catch(() => {
    // It is awaited below; this only keeps it from counting as unhandled until then.
  });
  const isEarly = await Promise.race([
    resolved.then(() => true),
    delay(CONNECTION_WAIT_MS, false, { signal }),
  ]).catch(() => false);
  if (signal.aborted) return undefined;
  // A reset may still follow, or no position is known: then there is no id yet.
  if (!isEarly) {
    const isResumed = currentlyGiven(subscriber) !== undefined;
    subscriber.write(connectionFrame(subscriber, isResumed, undefined), performance.now());
    subscriber.isGreeted = true;
  }
  const { source, start } = await resolved.catch((error: unknown) => {
    if (signal.aborted) return { source: undefined, start: undefined };
    throw error;
  });
  if (signal.aborted || !source || !start) return undefined;
  const [firstReset] = start.resets;
  // A position of other topics only is none: then there is neither.
  if (firstReset || start.isResumed) context.onResumed(firstReset?.reason);
  const first = firstReset === undefined ? formatPosition(start.position) : undefined;
  const frames = isEarly ? [connectionFrame(subscriber, start.isResumed, first)] : [];
  for (const reset of start.resets) {
    frames.push(encodeReset(subscriber.subscription.encoding, reset));
    context.onReset(reset.reason, 1);
  }
  if (frames.length > 0) subscriber.write(Buffer.concat(frames), performance.now());
  subscriber.isGreeted = true;
  return readingPoint(source, start, subscriber.subscription, context.liveSeq());
}

async function resolve(
  subscriber: Subscriber,
  request: StartRequest,
  { attached, turns, signal }: Opening,
): Promise<{ source: Source; start: Start }> {
  const source = await attached;
  signal.throwIfAborted();
  const start = await resolveStart(request, subscriber, { ...source, turns, signal });
  return { source, start };
}

/** The point from which a position is read: nothing after it is missed, and what lies below it is skipped. */
export function readingPoint(
  { log }: Source,
  { position, picks }: Start,
  { topics }: Subscription,
  liveSeq: number,
): ReadingPoint {
  const atSeq = log.headSeq;
  if (isTrimmed(log, position)) {
    // Retention passed it while it was looked for: the reader finds that it lags, and says so.
    return { seq: log.baseSeq - 1, state: position, target: { position, atSeq }, picks };
  }
  const seq = Math.min(log.seqBefore(position), liveSeq);
  const at = log.positionAt(seq);
  const state = new Map([...at].filter(([topic]) => topics.includes(topic)));
  const beyond = [...position].filter(([topic, part]) => !hasReached(state.get(topic), part));
  const target = beyond.length > 0 ? { position: new Map(beyond), atSeq } : undefined;
  return { seq, state, target, picks };
}

function isTrimmed(log: ReadableLog, position: Position): boolean {
  return [...position].some(([topic, { tag, offsets }]) => {
    const floor = log.floor(topic);
    return floor?.tag === tag && floor.offsets.some((offset, p) => (offsets[p] ?? 0) < offset);
  });
}

/** The first event of every stream; without an id where a reset may follow, or no position is known. */
export function connectionFrame(
  { identity, subscription }: Subscriber,
  resumed: boolean,
  id: string | undefined,
): Uint8Array {
  const data = {
    clientId: identity.clientId,
    timestamp: new Date().toISOString(),
    message: resumed ? "Stream resumed" : "Stream opened",
    topics: subscription.topics,
    resumed,
  };
  return encodeSystem(subscription.encoding, "connection", JSON.stringify(data), id);
}

function currentlyGiven({ activity }: Subscriber): string | undefined {
  return activity.kind === "waiting" ? activity.givenId : undefined;
}
