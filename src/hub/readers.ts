import type { ReadableLog } from "../log/readable-log.ts";
import { laterOf, type Position, type TopicPosition } from "../log/position.ts";
import type { FairTurns } from "./fair-turns.ts";
import {
  MAX_WRITE_BYTES,
  type Page,
  positionOf,
  type ReadingPoint,
  readPage,
  type Target,
} from "./page.ts";
import { PageCache } from "./page-cache.ts";
import { applyResets, encodeReset, type PlannedReset, type ResetReason } from "./reset.ts";
import type { Subscriber } from "./subscriber.ts";

export interface ReadersOptions {
  readonly log: ReadableLog;
  readonly turns: FairTurns;
  /** How far the live ones of a subscriber's lane have been served: it reads so far, and joins them there. */
  readonly liveSeq: (subscriber: Subscriber) => number;
  readonly onCaughtUp: (subscriber: Subscriber) => void;
  /** Called between two events of a subscriber that is to be closed. */
  readonly onClosing: (subscriber: Subscriber) => void;
  /** Called where a subscriber's half-written event is gone from the log. */
  readonly onBroken: (subscriber: Subscriber) => void;
  /** Called for each page that could have been in the cache. */
  readonly onPage: (isCached: boolean) => void;
  readonly onReset: (reason: ResetReason, subscribers: number) => void;
  readonly onSent: (sent: { events: number; bytes: number }) => void;
}

const NO_BYTES = new Uint8Array();

/** Serves those who are behind, a page a turn each, from the log. */
export class Readers {
  readonly #options: ReadersOptions;
  readonly #pages = new PageCache();
  /** At the log's end, but short of the position that they came with. */
  readonly #holding = new Set<Subscriber>();

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  /** Begins to read, from the subscriber's point on. */
  start(subscriber: Subscriber, point: ReadingPoint): void {
    subscriber.activity = { kind: "reading", point, written: 0, page: undefined };
    if (subscriber.blockedSinceMs === undefined) this.resume(subscriber);
  }

  /** Goes on with a subscriber whose peer takes bytes again. */
  resume(subscriber: Subscriber): void {
    this.#holding.delete(subscriber);
    this.#options.turns.add(() => this.#step(subscriber));
  }

  /** The log has gained entries: who waited for them goes on. */
  onAppended(): void {
    for (const subscriber of this.#holding) this.resume(subscriber);
  }

  forget(subscriber: Subscriber): void {
    this.#holding.delete(subscriber);
  }

  /** Writes one piece. True: there is more to do at once. */
  #step(subscriber: Subscriber): boolean {
    const { activity } = subscriber;
    if (activity.kind !== "reading" || subscriber.blockedSinceMs !== undefined) return false;
    const { log, onBroken, onClosing, onReset, onSent } = this.#options;
    const isBetweenEvents = activity.written === 0;
    if (subscriber.closing && isBetweenEvents) {
      onClosing(subscriber);
      return false;
    }
    if (activity.point.seq < log.baseSeq) {
      if (isBetweenEvents) return this.#resetLagged(subscriber, activity.point);
      onBroken(subscriber);
      return false;
    }
    const page = (activity.page ??= this.#page(subscriber, activity.point));
    // All pieces but the last are of that size.
    const piece = page.pieces[Math.floor(activity.written / MAX_WRITE_BYTES)] ?? NO_BYTES;
    activity.written += piece.byteLength;
    const isWhole = activity.written >= page.bytes.byteLength;
    if (isWhole) {
      for (const reason of page.resets) onReset(reason, 1);
      activity.point = page.end;
      activity.written = 0;
      activity.page = undefined;
      if (subscriber.replayed !== undefined) subscriber.replayed += page.events;
    }
    if (piece.byteLength > 0) {
      onSent({ events: isWhole ? page.events : 0, bytes: piece.byteLength });
      if (!subscriber.write(piece, performance.now())) {
        activity.page = undefined;
        return false;
      }
    }
    return !isWhole || !this.#isAtEnd(subscriber, activity.point);
  }

  #page(subscriber: Subscriber, point: ReadingPoint): Page {
    const { log, liveSeq, onPage } = this.#options;
    const { group } = subscriber;
    const lastSeq = liveSeq(subscriber);
    const isOwn = point.target !== undefined || point.picks !== undefined;
    const cached = isOwn ? undefined : this.#pages.get(group.id, point.seq);
    // Another lane may be further: who goes beyond its own would be given the rest again.
    const isUsable = cached !== undefined && cached.end.seq <= lastSeq;
    onPage(isUsable);
    if (isUsable) return cached;
    const page = readPage(log, point, subscriber, lastSeq);
    // A page that leads nowhere was made at the log's end: later there is more after its point.
    if (page.isShared && page.end.seq > point.seq) this.#pages.set(group.id, point.seq, page);
    return page;
  }

  #isAtEnd(subscriber: Subscriber, point: ReadingPoint): boolean {
    if (point.seq < this.#options.liveSeq(subscriber)) return false;
    if (subscriber.closing) this.#options.onClosing(subscriber);
    else if (point.target) this.#holding.add(subscriber);
    else this.#options.onCaughtUp(subscriber);
    return true;
  }

  /** The log let go of what came next: each topic that lost something goes on from what is held. */
  #resetLagged(subscriber: Subscriber, { state, target, picks }: ReadingPoint): boolean {
    const { log, onReset } = this.#options;
    const { encoding } = subscriber.subscription;
    const base = log.positionAt(log.baseSeq);
    const from = positionOf({ state, target });
    const resets = applyResets(from, lagResets(from, base, target));
    for (const { reason } of resets) onReset(reason, 1);
    const frames = resets.map((reset) => encodeReset(encoding, reset));
    const held = new Map([...base].filter(([topic]) => from.has(topic)));
    subscriber.activity = {
      kind: "reading",
      point: { seq: log.baseSeq, state: held, target, picks },
      written: 0,
      page: undefined,
    };
    if (frames.length === 0) return true;
    return subscriber.write(Buffer.concat(frames), performance.now());
  }
}

/** Per topic that lost something between a subscriber's position and the log's base: what to say. */
function lagResets(from: Position, base: Position, target: Target | undefined): PlannedReset[] {
  const lagged = new Map<string, TopicPosition>();
  const recreated = new Map<string, TopicPosition>();
  for (const [topic, part] of from) {
    const held = base.get(topic);
    if (!held) continue;
    if (held.tag === part.tag) {
      const isLost = held.offsets.some((offset, p) => (part.offsets[p] ?? 0) < offset);
      if (isLost) lagged.set(topic, laterOf(new Map([[topic, held]]), from).get(topic) ?? held);
    } else if (!target?.position.has(topic)) recreated.set(topic, held);
  }
  return [
    { reason: "lagged" as const, to: lagged },
    { reason: "recreated" as const, to: recreated },
  ].filter(({ to }) => to.size > 0);
}
