import type { Frame, Interruption } from "./frame-source.ts";
import type { Gate } from "./gate.ts";

export interface TransportRequest {
  readonly token: string | undefined;
  /** Undefined until a position is known. */
  readonly lastEventId: string | undefined;
  /** Ends the connection. */
  readonly signal: AbortSignal;
}

/** Who takes what a connection brings, as it comes. */
export interface TransportSink {
  readonly gate: Gate;
  /** Something has come, whatever it is. */
  readonly onBytes: () => void;
  readonly onFrame: (frame: Frame) => void;
  /** The server's reconnection time, milliseconds. */
  readonly onRetry: (retryMs: number) => void;
}

/** How one connection ended. */
export type Ending =
  /** To be tried again, not before `retryMs`. */
  | { readonly kind: "lost"; readonly why: Interruption; readonly retryMs?: number }
  /** Trying again makes no sense before somebody has done something. */
  | { readonly kind: "refused"; readonly why: Interruption }
  /** To be opened anew as soon as the gate is open. */
  | { readonly kind: "again" };

/** It broke off, or never came about. */
export function lost(reason: Interruption["reason"], message: string): Ending {
  return { kind: "lost", why: { reason, message } };
}

/** Opens one connection and reads it to its end. Rejects where it breaks. */
export type Transport = (request: TransportRequest, sink: TransportSink) => Promise<Ending>;

/** What a transport is made from. */
export interface TransportOptions {
  /** The stream's address, asked before each connection. */
  readonly url: () => string;
  /** Whether cookies go to another origin. */
  readonly withCredentials: boolean;
  /** The event types that were asked for. */
  readonly types: readonly string[];
}

/** @throws TypeError where it cannot be used. */
export type MakeTransport = (options: TransportOptions) => Transport;
