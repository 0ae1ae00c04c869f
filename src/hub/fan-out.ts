import type { ReadableLog } from "../log/readable-log.ts";
import type { StoredEntry } from "../log/stored-entry.ts";
import { idText } from "../sse/encoding.ts";
import type { Event } from "../sse/event.ts";
import type { Group } from "./group.ts";
import type { GroupIndex } from "./group-index.ts";
import { MovingPosition } from "./moving-position.ts";
import { fitsWrite, isPersonal, type ReadingPoint } from "./page.ts";
import type { PreparedEntries, PreparedEntry } from "./prepared-entries.ts";
import { encodeReset, type ResetReason, resetReasonOf } from "./reset.ts";
import type { Subscriber } from "./subscriber.ts";
import { View } from "./view.ts";

export interface FanOutOptions {
  /** Whose live subscribers it serves. */
  readonly lane: number;
  readonly log: ReadableLog;
  readonly index: GroupIndex;
  /** Shared with the other lanes. */
  readonly prepared: PreparedEntries;
  readonly groups: () => Iterable<Group>;
  /** Called when a live subscriber must read for itself from `point` on. */
  readonly onBehind: (subscriber: Subscriber, point: ReadingPoint) => void;
  /** Called once for each record whose type cannot be shown. */
  readonly onTypeLeftOut: () => void;
  readonly onReset: (reason: ResetReason, subscribers: number) => void;
  readonly onSent: (sent: { events: number; bytes: number }) => void;
  /** Called after a turn's last write, with the timestamps of the events that it wrote. */
  readonly onDelivered: (timestampsMs: readonly number[]) => void;
}

/** Entries taken in one turn: what does not fit waits for the next. */
const TURN_ENTRIES = 500;

/** One event on its way through a turn. */
interface Delivery {
  readonly entry: StoredEntry;
  readonly prepared: PreparedEntry;
  /** Groups with live members that get it. */
  readonly groups: readonly Group[];
}

/**
 * Delivers what the log has gained to all of a lane who are caught up: each event is encoded once
 * per view, each group's frames leave in one write per subscriber.
 */
export class FanOut {
  readonly #options: FanOutOptions;
  #position: MovingPosition;
  #seq: number;
  /** Live subscribers. */
  #size = 0;

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#seq = options.log.headSeq;
    this.#position = new MovingPosition(options.log.positionAt(this.#seq));
  }

  /** The last entry that live subscribers have been given. */
  get seq(): number {
    if (this.#isIdle) return this.#options.log.headSeq;
    this.#skipTrimmed();
    return this.#seq;
  }

  /** A subscriber stands where the live ones do. */
  add(subscriber: Subscriber): void {
    if (this.#isIdle) this.#skipTo(this.#options.log.headSeq);
    this.#liveOf(subscriber.group).add(subscriber);
    this.#size += 1;
  }

  /** Nothing happens where it is not live. */
  remove(subscriber: Subscriber): void {
    if (this.#liveOf(subscriber.group).delete(subscriber)) this.#size -= 1;
  }

  /** Where live subscribers of these topics stand. */
  id(topics: readonly string[]): string {
    return this.#position.id(topics);
  }

  /** The point from which a live subscriber would read on. */
  pointFor(group: Group): ReadingPoint {
    const state = this.#position.snapshot(group.subscription.topics);
    return { seq: this.#seq, state, target: undefined, picks: undefined };
  }

  /** One turn; there may be more than it could take. */
  turn(): void {
    this.#skipTrimmed();
    const { log } = this.#options;
    const entries = log.after(this.#seq, TURN_ENTRIES);
    const events = entries.map((entry) => this.#options.prepared.of(entry).event);
    this.#leavePersonal(events);
    const views = new Map<string, View>();
    const written: number[] = [];
    for (const [i, entry] of entries.entries()) {
      const delivery = this.#delivery(entry);
      if (this.#deliver(delivery, views)) {
        if (events[i] && delivery.groups.length > 0) written.push(entry.timestampMs);
      } else {
        if (i > 0) break;
        this.#leaveLarge(delivery);
      }
      this.#seq = entry.seq;
      if (events[i]?.isTypeLeftOut && this.#isFirst) this.#options.onTypeLeftOut();
    }
    this.#write(views);
    if (written.length > 0) this.#options.onDelivered(written);
  }

  /** The first lane looks at every entry, and counts what is counted once. */
  get #isFirst(): boolean {
    return this.#options.lane === 0;
  }

  #liveOf(group: Group): Set<Subscriber> {
    return group.live[this.#options.lane] ?? NOBODY;
  }

  /** A lane without anybody has nothing to do: it stands at the log's end, wherever that is. */
  get #isIdle(): boolean {
    return this.#size === 0 && !this.#isFirst;
  }

  #skipTo(seq: number): void {
    this.#seq = seq;
    this.#position = new MovingPosition(this.#options.log.positionAt(seq));
  }

  /** Retention passed even those who were caught up: they are told so one by one, as all who lag. */
  #skipTrimmed(): void {
    const { log, groups } = this.#options;
    if (this.#seq >= log.baseSeq) return;
    for (const group of groups()) this.#leave(group);
    this.#skipTo(log.baseSeq);
  }

  /** Lets a group's live members read for themselves from here on. */
  #leave(group: Group): void {
    const point = this.pointFor(group);
    for (const subscriber of this.#liveOf(group)) this.#options.onBehind(subscriber, point);
  }

  /**
   * Those whom an event of this turn names as users or clients read the turn for themselves, so
   * that it costs nothing for all the others.
   */
  #leavePersonal(events: readonly (Event | undefined)[]): void {
    const { index, onBehind } = this.#options;
    for (const event of events) {
      if (!event?.audience || !isPersonal(event.audience)) continue;
      for (const subscriber of index.namedBy(event)) {
        if (!this.#liveOf(subscriber.group).has(subscriber)) continue;
        onBehind(subscriber, this.pointFor(subscriber.group));
      }
    }
  }

  #delivery(entry: StoredEntry): Delivery {
    const { index, prepared: all } = this.#options;
    const prepared = all.of(entry);
    const reason = resetReasonOf(entry, this.#position.tag(entry.topic));
    const found = reason ? index.groupsOfTopic(entry.topic) : prepared.groups(index);
    const groups: Group[] = [];
    for (const group of found) if (this.#liveOf(group).size > 0) groups.push(group);
    return { entry, prepared, groups };
  }

  /** Moves past an entry, and adds it to the views of its groups; false, and nothing changes, where it does not fit. */
  #deliver({ entry, prepared, groups }: Delivery, views: Map<string, View>): boolean {
    const byView = byViewOf(groups, views);
    for (const [view] of byView) {
      if (!fitsWrite(view.byteLength, prepared.body(view.encoding))) return false;
    }
    const reason = resetReasonOf(entry, this.#position.tag(entry.topic));
    const requested = reason && new Map(byView.map(([view]) => [view, this.id(view.topics)]));
    this.#position.advance(entry);
    for (const [view, viewGroups] of byView) {
      const position = this.id(view.topics);
      if (reason) {
        const reset = {
          reason,
          topics: [entry.topic],
          requested: requested?.get(view) ?? "",
          position,
        };
        view.add("", encodeReset(view.encoding, reset), viewGroups, 0);
        for (const group of viewGroups) this.#options.onReset(reason, this.#liveOf(group).size);
      } else {
        const body = prepared.body(view.encoding);
        view.add(idText(view.encoding, position), body, viewGroups, 1);
      }
    }
    return true;
  }

  /** An event too large for one write: its readers take it in pieces, each at its own pace. */
  #leaveLarge({ entry, groups }: Delivery): void {
    for (const group of groups) this.#leave(group);
    this.#position.advance(entry);
  }

  #write(views: ReadonlyMap<string, View>): void {
    const nowMs = performance.now();
    for (const view of views.values()) {
      for (const { group, bytes, events } of view.join()) {
        const live = this.#liveOf(group);
        let point: ReadingPoint | undefined;
        this.#options.onSent({ events: events * live.size, bytes: bytes.byteLength * live.size });
        group.lastWriteMs = nowMs;
        for (const subscriber of live) {
          // Past the subscriber's own bookkeeping: of thousands, each field touched is a cache miss.
          if (subscriber.sink.write(bytes)) continue;
          subscriber.blockedSinceMs = nowMs;
          point ??= this.pointFor(group);
          this.#options.onBehind(subscriber, point);
        }
      }
    }
  }
}

const NOBODY = new Set<Subscriber>();

function byViewOf(
  groups: readonly Group[],
  views: Map<string, View>,
): readonly (readonly [View, readonly Group[]])[] {
  const [only] = groups;
  if (only === undefined) return [];
  // Most events have one group: to sort them would cost as much as to encode the event.
  if (groups.length === 1) return [[viewOf(only, views), groups]];
  return [...Map.groupBy(groups, (group) => viewOf(group, views))];
}

function viewOf(group: Group, views: Map<string, View>): View {
  let view = views.get(group.viewKey);
  if (!view) views.set(group.viewKey, (view = new View(group)));
  return view;
}
