import { StreamCounts } from "../hub/counting.ts";
import { drainStreams } from "../hub/drain.ts";
import type { CloseReason, EndReason, Sink } from "../hub/subscriber.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { encodeRetry, encodeSystem } from "../sse/encoding.ts";
import { Watcher } from "./watcher.ts";

export interface DashboardUpdatesOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Makes the JSON of an update, now. */
  readonly snapshot: () => Promise<string>;
  readonly intervalMs: number;
  /** Silence after which a stream gets a `heartbeat`. */
  readonly heartbeatMs: number;
  /** What clients are told to wait before they come back; jittered by ±25%. */
  readonly retryMs: number;
  /** 0: none. Else each stream ends at 80-100% of it. */
  readonly maxAgeMs: number;
  /** How long a peer may take nothing, where nobody else sees to it. */
  readonly maxStallMs: number;
  /** How often stalled and aged streams are looked for. */
  readonly cleanupMs: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

export interface ViewRequest {
  readonly sink: Sink;
  /** When the right to look ends (milliseconds since 1970); Infinity where it does not. */
  readonly expiresAtMs: number;
  /** Called once, however the stream ends. */
  readonly onEnded: (reason: EndReason) => void;
}

/** An update as it goes out. */
interface Update {
  readonly id: number;
  /** When it was begun (monotonic, ms). */
  readonly begunMs: number;
  readonly frame: Uint8Array;
}

/** Nothing is new: it has no id. */
const HEARTBEAT = encodeSystem("plain", "heartbeat", "");

/**
 * The streams of the dashboard. One update is made and encoded per interval, whoever looks, and none
 * while nobody does. Its id counts from 1: it is no position. Nothing is resumed by it, a client
 * that comes back gets the newest update whatever id it names; so that the count starts over with
 * the process does no harm.
 */
export class DashboardUpdates implements Disposable {
  readonly #options: DashboardUpdatesOptions;
  readonly #random: () => number;
  readonly #counts: StreamCounts;
  readonly #watchers = new Set<Watcher>();
  #newest: Update | undefined;
  #nextId = 1;
  #maxStallMs: number;
  #isDraining = false;
  #isMaking = false;
  /** When the next update is due (monotonic, ms): an interval after the last one was begun. */
  #dueMs = 0;
  /** Makes it; there is none while nobody looks. */
  #timer: NodeJS.Timeout | undefined;
  /** Heartbeats and clean-up; the same. */
  #watches: readonly NodeJS.Timeout[] = [];

  constructor(options: DashboardUpdatesOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#counts = new StreamCounts(options.metrics);
    this.#maxStallMs = options.maxStallMs;
  }

  /** Open streams. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Stalled connections are ended by the kernel, which alone sees whether a slow peer takes bytes. */
  leaveStallsToKernel(): void {
    this.#maxStallMs = Infinity;
  }

  /** Opens a stream: its first bytes leave at once. */
  open(request: ViewRequest): Watcher {
    const { maxAgeMs, intervalMs } = this.#options;
    const nowMs = performance.now();
    const endsAtMs = maxAgeMs > 0 ? nowMs + maxAgeMs * (0.8 + 0.2 * this.#random()) : Infinity;
    const watcher = new Watcher({ ...request, nowMs, endsAtMs });
    this.#watchers.add(watcher);
    this.#counts.opened();
    watcher.write(this.#retry(), nowMs);
    this.#watch();
    const newest = this.#newest;
    if (newest && nowMs - newest.begunMs < intervalMs) this.#send(watcher, newest, nowMs);
    this.#schedule();
    // It was let in just before the drain began, which knows only those who were there.
    if (this.#isDraining) this.close(watcher, "shutdown");
    return watcher;
  }

  /** The peer takes bytes again: it gets the newest update, of those that it has missed. */
  onDrain(watcher: Watcher): void {
    watcher.blockedSinceMs = undefined;
    if (!this.#watchers.has(watcher)) return;
    if (watcher.closing) this.#finish(watcher);
    else if (this.#newest) this.#send(watcher, this.#newest, performance.now());
  }

  /** The connection is gone. */
  onGone(watcher: Watcher): void {
    this.#remove(watcher, watcher.blockedSinceMs === undefined ? "client" : "stalled");
  }

  /** Ends a stream after a whole event, with `close` as its last. */
  close(watcher: Watcher, reason: CloseReason, reconnect = true): void {
    if (!this.#watchers.has(watcher) || watcher.closing) return;
    watcher.closing = { reason, reconnect };
    if (watcher.blockedSinceMs === undefined) this.#finish(watcher);
  }

  /** Closes every stream, jittered over the grace so that they do not all come back at once; resolves when all are gone. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.size === 0) return;
    await drainStreams(this.#watchers, {
      graceMs,
      random: this.#random,
      close: (watcher) => this.close(watcher, "shutdown"),
      cut: (watcher) => this.#cut(watcher, "shutdown"),
    });
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) this.#cut(watcher, "shutdown");
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isMaking || this.size === 0) return;
    const waitMs = Math.max(0, this.#dueMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#update();
    }, waitMs);
  }

  /** Makes one update, and writes it to all who take bytes. */
  async #update(): Promise<void> {
    const begunMs = performance.now();
    this.#dueMs = begunMs + this.#options.intervalMs;
    this.#isMaking = true;
    try {
      const json = await this.#options.snapshot();
      this.#publish(json, begunMs);
    } catch (error) {
      // Nobody is told, and the next one is tried when it is due.
      this.#options.logger.error({ err: error }, "dashboard update could not be made");
    }
    this.#isMaking = false;
    this.#schedule();
  }

  #publish(json: string, begunMs: number): void {
    const id = this.#nextId++;
    const frame = encodeSystem("plain", "dashboard-update", json, String(id));
    const update = { id, begunMs, frame };
    this.#newest = update;
    this.#options.metrics.dashboardUpdates.inc();
    const nowMs = performance.now();
    for (const watcher of this.#watchers) this.#send(watcher, update, nowMs);
  }

  #send(watcher: Watcher, { id, frame }: Update, nowMs: number): void {
    if (watcher.updateId === id || watcher.blockedSinceMs !== undefined) return;
    watcher.updateId = id;
    this.#counts.sent({ events: 1, bytes: frame.byteLength });
    watcher.write(frame, nowMs);
  }

  /** Looks after streams as long as there are any. */
  #watch(): void {
    if (this.#watches.length > 0) return;
    const { heartbeatMs, cleanupMs } = this.#options;
    const tickMs = Math.max(20, Math.min(1000, heartbeatMs / 5));
    this.#watches = [
      setInterval(() => this.#sendHeartbeats(), tickMs),
      setInterval(() => this.#cleanUp(), cleanupMs),
    ];
  }

  #sendHeartbeats(): void {
    const nowMs = performance.now();
    const dueMs = nowMs - this.#options.heartbeatMs;
    for (const watcher of this.#watchers) {
      if (watcher.lastWriteMs > dueMs || watcher.blockedSinceMs !== undefined) continue;
      watcher.write(HEARTBEAT, nowMs);
    }
  }

  #cleanUp(): void {
    const nowMs = performance.now();
    // [RFC 7519 §4.1.4] A token's end is a time of day, and moves with the clock.
    const wallMs = Date.now();
    for (const watcher of this.#watchers) {
      const { blockedSinceMs } = watcher;
      if (blockedSinceMs !== undefined && nowMs - blockedSinceMs >= this.#maxStallMs) {
        this.#cut(watcher, "stalled");
      } else if (wallMs >= watcher.expiresAtMs) this.close(watcher, "token-expired", false);
      else if (nowMs >= watcher.endsAtMs) this.close(watcher, "max-age");
    }
  }

  #finish(watcher: Watcher): void {
    const { closing } = watcher;
    if (!closing) return;
    const frame = encodeSystem("plain", "close", JSON.stringify(closing));
    watcher.write(Buffer.concat([this.#retry(), frame]), performance.now());
    this.#remove(watcher, closing.reason);
    watcher.sink.end();
  }

  #cut(watcher: Watcher, reason: EndReason): void {
    this.#remove(watcher, reason);
    watcher.sink.drop();
  }

  #remove(watcher: Watcher, reason: EndReason): void {
    if (!this.#watchers.delete(watcher)) return;
    this.#counts.ended(reason, performance.now() - watcher.openedMs);
    watcher.onEnded(reason);
    if (this.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const timer of this.#watches) clearInterval(timer);
    this.#watches = [];
  }

  #retry(): Uint8Array {
    return encodeRetry("plain", this.#options.retryMs * (0.75 + 0.5 * this.#random()));
  }
}
