import { HeadgateError } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { encodeRetry, encodeSystem } from "../sse/encoding.ts";
import {
  type Activities,
  type Connections,
  countActivities,
  describeConnections,
} from "./connections.ts";
import { StreamCounts } from "./counting.ts";
import { drainStreams } from "./drain.ts";
import { type Explanation, explainStart } from "./explain.ts";
import { FairTurns } from "./fair-turns.ts";
import { Group } from "./group.ts";
import { GroupIndex } from "./group-index.ts";
import { LaneChoice, Lanes, type TurnState } from "./lanes.ts";
import { connectionFrame, openStream } from "./opening.ts";
import type { Reader } from "./page.ts";
import { Readers } from "./readers.ts";
import { countReceivers } from "./receivers.ts";
import type { Source } from "./source.ts";
import type { StartRequest } from "./start-position.ts";
import {
  type CloseReason,
  currentId,
  type EndReason,
  type Sink,
  Subscriber,
} from "./subscriber.ts";
import { type Identity, type Subscription, subscriptionKey } from "./subscription.ts";
import { TurnSchedule } from "./turn-schedule.ts";

export interface HubOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Silence after which a stream gets a `heartbeat`. */
  readonly heartbeatMs: number;
  /** What clients are told to wait before they come back; jittered by ±25%. */
  readonly retryMs: number;
  /** 0: what has arrived leaves at the end of each turn of the event loop. */
  readonly flushMs: number;
  /** 0: none. Else each stream ends at 80-100% of it. */
  readonly maxAgeMs: number;
  /** How long a peer may take nothing, where nobody else sees to it. */
  readonly maxStallMs: number;
  /** How often stalled and aged streams are looked for. */
  readonly cleanupMs: number;
  /** Subscribers from which on there is another lane (see `lanes.ts`); for tests. */
  readonly laneFill?: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

export interface SubscribeRequest {
  readonly subscription: Subscription;
  readonly identity: Identity;
  readonly start: StartRequest;
  readonly sink: Sink;
  /** When the right to read ends (milliseconds since 1970); Infinity where it does not. */
  readonly expiresAtMs: number;
  /** Called once, however the stream ends. */
  readonly onEnded: (reason: EndReason) => void;
}

/** How long an explanation may take: a position ahead of Kafka's end needs two answers 5 s apart. */
const EXPLAIN_MS = 8000;

function notReady(): HeadgateError {
  return new HeadgateError("not-ready", "The server is not ready yet; /readyz says why");
}

/** The live part of the server: who is connected, and what each of them gets next. */
export class Hub implements Disposable {
  readonly #options: HubOptions;
  readonly #random: () => number;
  readonly #counts: StreamCounts;
  readonly #index = new GroupIndex();
  readonly #groups = new Map<string, Group>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #turns = new FairTurns();
  readonly #choice: LaneChoice;
  readonly #schedule: TurnSchedule;
  readonly #attached = Promise.withResolvers<Source>();
  readonly #timers: NodeJS.Timeout[];
  #source: Source | undefined;
  #lanes: Lanes | undefined;
  #readers: Readers | undefined;
  #nextGroupId = 1;
  #maxStallMs: number;
  #isDraining = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#counts = new StreamCounts(options.metrics);
    this.#choice = new LaneChoice(options.laneFill);
    this.#schedule = new TurnSchedule({ flushMs: options.flushMs, turn: () => this.#turn() });
    this.#maxStallMs = options.maxStallMs;
    const tickMs = Math.max(20, Math.min(1000, options.heartbeatMs / 5));
    this.#timers = [
      setInterval(() => this.#sendHeartbeats(), tickMs),
      setInterval(() => this.#cleanUp(), options.cleanupMs),
    ];
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** Different users among the subscribers. */
  activeUsers(): number {
    return this.#index.users.size;
  }

  /** Their names. O(users). */
  users(): string[] {
    return [...this.#index.users];
  }

  /** From the first moment of a drain: no new streams. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Where events come from, once the server is ready; until then subscribers are held. */
  get source(): Source | undefined {
    return this.#source;
  }

  /** For scans of the log that are not a stream's own. */
  get turns(): FairTurns {
    return this.#turns;
  }

  /** The server is ready: every topic is in the log, and read up to where it ended at the start. */
  attach(source: Source): void {
    const { log } = source;
    const { sent: onSent, reset: onReset, typeLeftOut, delivered } = this.#counts;
    const readers = new Readers({
      log,
      turns: this.#turns,
      liveSeq: (subscriber) => lanes.seq(subscriber),
      onCaughtUp: (subscriber) => this.#join(subscriber),
      onClosing: (subscriber) => this.#finish(subscriber),
      onBroken: (subscriber) => this.#cut(subscriber, "stalled"),
      onPage: this.#counts.page,
      onReset,
      onSent,
    });
    const lanes = new Lanes({
      log,
      index: this.#index,
      groups: () => this.#groups.values(),
      onBehind: (subscriber, point) => {
        const { group } = subscriber;
        lanes.remove(subscriber);
        // What the group wrote while it was live was written to it.
        subscriber.lastWriteMs = Math.max(subscriber.lastWriteMs, group.lastWriteMs);
        readers.start(subscriber, point);
      },
      onTypeLeftOut: typeLeftOut,
      onReset,
      onSent,
      onDelivered: delivered,
    });
    this.#source = source;
    this.#lanes = lanes;
    this.#readers = readers;
    log.events.on("appended", () => this.#schedule.request());
    this.#attached.resolve(source);
  }

  /** Stalled connections are ended by the kernel, which alone sees whether a slow peer takes bytes. */
  leaveStallsToKernel(): void {
    this.#maxStallMs = Infinity;
  }

  /** Opens a stream: its first bytes leave at once. */
  subscribe(request: SubscribeRequest): Subscriber {
    const { subscription, start } = request;
    const { maxAgeMs, retryMs, logger } = this.#options;
    const nowMs = performance.now();
    const group = this.#groupOf(subscription);
    const endsAtMs = maxAgeMs > 0 ? nowMs + maxAgeMs * (0.8 + 0.2 * this.#random()) : Infinity;
    const lane = this.#choice.enter();
    const subscriber = new Subscriber({ ...request, group, lane, nowMs, endsAtMs });
    group.members.add(subscriber);
    this.#subscribers.add(subscriber);
    this.#index.addSubscriber(subscriber);
    this.#counts.opened();
    subscriber.write(encodeRetry(subscription.encoding, this.#jitter(retryMs)), nowMs);
    const opened = openStream(subscriber, start, {
      turns: this.#turns,
      attached: this.#attached.promise,
      liveSeq: () => this.#lanes?.seq(subscriber) ?? 0,
      onReset: this.#counts.reset,
      onResumed: this.#counts.resumed,
    });
    opened.then(
      (point) => {
        if (point && !subscriber.isEnded) this.#readers?.start(subscriber, point);
      },
      (error: unknown) => {
        if (subscriber.isEnded) return;
        logger.error({ err: error }, "stream could not be started");
        this.#cut(subscriber, "client");
      },
    );
    // It was let in just before the drain began, which knows only those who were there.
    if (this.#isDraining) this.close(subscriber, "shutdown");
    return subscriber;
  }

  /** The peer takes bytes again. */
  onDrain(subscriber: Subscriber): void {
    subscriber.blockedSinceMs = undefined;
    if (subscriber.isEnded) return;
    if (subscriber.activity.kind === "reading") this.#readers?.resume(subscriber);
    else if (subscriber.closing) this.#finish(subscriber);
  }

  /** The connection is gone. */
  onGone(subscriber: Subscriber): void {
    this.#remove(subscriber, subscriber.blockedSinceMs === undefined ? "client" : "stalled");
  }

  /** Ends a stream after a whole event, with `close` as its last. */
  close(subscriber: Subscriber, reason: CloseReason, reconnect = true): void {
    if (subscriber.isEnded || subscriber.closing) return;
    subscriber.closing = { reason, reconnect };
    const { activity } = subscriber;
    const isBetweenEvents = activity.kind !== "reading" || activity.written === 0;
    if (isBetweenEvents && subscriber.blockedSinceMs === undefined) this.#finish(subscriber);
  }

  /** @throws HeadgateError `not-ready` as long as nobody can tell. */
  async explain(request: StartRequest, reader: Reader, isGone: AbortSignal): Promise<Explanation> {
    const source = this.#source;
    if (!source) throw notReady();
    source.refresh?.();
    const signal = AbortSignal.any([isGone, AbortSignal.timeout(EXPLAIN_MS)]);
    return explainStart(request, reader, { source, turns: this.#turns, signal }).catch(
      (error: unknown) => {
        throw signal.aborted ? notReady() : error;
      },
    );
  }

  /** Who is connected. */
  connections(): Connections {
    return describeConnections(this.#subscribers, this.#source?.log.headSeq);
  }

  activities(): Activities {
    return countActivities(this.#subscribers);
  }

  /** How many subscribers records that are about to be published reach. */
  receivers(records: readonly OutgoingRecord[]): number {
    return countReceivers(this.#index, records);
  }

  /** Closes every stream, jittered over the grace so that they do not all come back at once; resolves when all are gone. */
  drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    return drainStreams(this.#subscribers, {
      graceMs,
      random: this.#random,
      close: (subscriber) => this.close(subscriber, "shutdown"),
      cut: (subscriber) => this.#cut(subscriber, "shutdown"),
    });
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const subscriber of this.#subscribers) this.#cut(subscriber, "shutdown");
    this.#turns[Symbol.dispose]();
    this.#source?.log.events.removeAllListeners("appended");
    // A turn may be due still: the log may be closed by then.
    this.#lanes = undefined;
    this.#readers = undefined;
  }

  #turn(): TurnState {
    this.#source?.flush?.();
    const state = this.#lanes?.turn() ?? "done";
    this.#readers?.onAppended();
    return state;
  }

  /** A reader has caught up: from here on it gets its group's bytes. */
  #join(subscriber: Subscriber): void {
    subscriber.activity = { kind: "live" };
    this.#lanes?.add(subscriber);
    const { replayed } = subscriber;
    if (replayed === undefined) return;
    subscriber.replayed = undefined;
    this.#writeSystem(subscriber, "live", JSON.stringify({ replayed }), performance.now());
  }

  /** Writes a system event between two events; who pushes back reads on from here. */
  #writeSystem(subscriber: Subscriber, event: string, data: string, nowMs: number): void {
    const { encoding } = subscriber.subscription;
    const frame = encodeSystem(encoding, event, data, this.#id(subscriber));
    if (subscriber.write(frame, nowMs) || subscriber.activity.kind !== "live") return;
    if (!this.#lanes) return;
    this.#lanes.remove(subscriber);
    this.#readers?.start(subscriber, this.#lanes.pointFor(subscriber));
  }

  #sendHeartbeats(): void {
    const nowMs = performance.now();
    const dueMs = nowMs - this.#options.heartbeatMs;
    for (const subscriber of this.#subscribers) {
      if (
        !subscriber.isGreeted ||
        subscriber.lastWriteMs > dueMs ||
        subscriber.blockedSinceMs !== undefined
      )
        continue;
      const { activity, group } = subscriber;
      if (activity.kind === "live" && group.lastWriteMs > dueMs) continue;
      if (activity.kind === "reading" && activity.written > 0) continue;
      this.#writeSystem(subscriber, "heartbeat", "", nowMs);
    }
  }

  #cleanUp(): void {
    const nowMs = performance.now();
    // [RFC 7519 §4.1.4] A token's end is a time of day, and moves with the clock.
    const wallMs = Date.now();
    for (const subscriber of this.#subscribers) {
      const { blockedSinceMs } = subscriber;
      if (blockedSinceMs !== undefined && nowMs - blockedSinceMs >= this.#maxStallMs) {
        this.#cut(subscriber, "stalled");
      } else if (wallMs >= subscriber.expiresAtMs) {
        this.close(subscriber, "token-expired", false);
      } else if (nowMs >= subscriber.endsAtMs) this.close(subscriber, "max-age");
    }
  }

  /** What a subscriber's system events carry; undefined while its start is not decided. */
  #id(subscriber: Subscriber): string | undefined {
    if (subscriber.activity.kind !== "live") return currentId(subscriber);
    return this.#lanes?.id(subscriber);
  }

  #finish(subscriber: Subscriber): void {
    const { closing } = subscriber;
    if (!closing) return;
    const { encoding } = subscriber.subscription;
    const retry = encodeRetry(encoding, this.#jitter(this.#options.retryMs));
    const frame = encodeSystem(encoding, "close", JSON.stringify(closing), this.#id(subscriber));
    // It may end before its start is known: `connection` comes first all the same.
    const greeting = subscriber.isGreeted ? [] : [connectionFrame(subscriber, false, undefined)];
    subscriber.write(Buffer.concat([...greeting, retry, frame]), performance.now());
    this.#remove(subscriber, closing.reason);
    subscriber.sink.end();
  }

  #cut(subscriber: Subscriber, reason: EndReason): void {
    this.#remove(subscriber, reason);
    subscriber.sink.drop();
  }

  #remove(subscriber: Subscriber, reason: EndReason): void {
    if (!this.#subscribers.delete(subscriber)) return;
    const { group } = subscriber;
    subscriber.activity = { kind: "ended" };
    subscriber.starting?.abort();
    this.#readers?.forget(subscriber);
    this.#index.removeSubscriber(subscriber);
    this.#lanes?.remove(subscriber);
    this.#choice.leave(subscriber.lane);
    group.members.delete(subscriber);
    if (group.members.size === 0) {
      this.#groups.delete(group.key);
      this.#index.removeGroup(group);
    }
    this.#counts.ended(reason, performance.now() - subscriber.openedMs);
    subscriber.onEnded(reason);
  }

  #groupOf(subscription: Subscription): Group {
    const key = subscriptionKey(subscription);
    let group = this.#groups.get(key);
    if (!group) {
      group = new Group(this.#nextGroupId++, key, subscription);
      this.#groups.set(key, group);
      this.#index.addGroup(group);
    }
    return group;
  }

  #jitter(ms: number): number {
    return ms * (0.75 + 0.5 * this.#random());
  }
}
