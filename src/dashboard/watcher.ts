import type { CloseReason, EndReason, Sink } from "../hub/subscriber.ts";

/** One open stream of the dashboard. It holds nothing: what it does not take, it does not get. */
export class Watcher {
  readonly sink: Sink;
  /** When the stream has reached its age (monotonic, ms). */
  readonly endsAtMs: number;
  /** When its right to look ends (milliseconds since 1970). */
  readonly expiresAtMs: number;
  /** When it was opened (monotonic, ms). */
  readonly openedMs: number;
  readonly onEnded: (reason: EndReason) => void;
  /** Monotonic, ms. */
  lastWriteMs: number;
  /** Since when the peer has pushed back; undefined while it takes bytes. */
  blockedSinceMs: number | undefined;
  /** The last update that it got. */
  updateId = 0;
  /** Set when the stream must end as soon as the peer takes bytes. */
  closing: { readonly reason: CloseReason; readonly reconnect: boolean } | undefined;

  constructor(options: {
    sink: Sink;
    nowMs: number;
    endsAtMs: number;
    expiresAtMs: number;
    onEnded: (reason: EndReason) => void;
  }) {
    this.sink = options.sink;
    this.openedMs = options.nowMs;
    this.endsAtMs = options.endsAtMs;
    this.expiresAtMs = options.expiresAtMs;
    this.onEnded = options.onEnded;
    this.lastWriteMs = options.nowMs;
  }

  /** Writes whole events, and notes whether the peer pushes back. */
  write(bytes: Uint8Array, nowMs: number): void {
    this.lastWriteMs = nowMs;
    if (!this.sink.write(bytes)) this.blockedSinceMs ??= nowMs;
  }
}
