import type { Gate } from "./gate.ts";

/** One event as it came, before anybody has looked into it. */
export interface Frame {
  /** `message` where the stream named none. */
  readonly type: string;
  /** The last event id as this event left it; empty before there is one. */
  readonly id: string;
  readonly data: string;
}

/**
 * Why there is no connection, or none any more.
 *
 * | reason | what happened |
 * |---|---|
 * | `unreachable` | no answer, or the connection broke |
 * | `ended` | the server, or a proxy, ended the stream without a word |
 * | `silent` | no byte, not even a heartbeat, for too long |
 * | `refused` | an answer that is no stream; `httpStatus` has its status |
 * | `token` | the function that gives the token has failed |
 * | `hidden` | the page is hidden, and the stream pauses then |
 * | `handler` | `onEvent` has thrown |
 * | the others | what the server's `close` event said |
 */
export type InterruptionReason =
  | "unreachable"
  | "ended"
  | "silent"
  | "refused"
  | "token"
  | "hidden"
  | "handler"
  | "shutdown"
  | "max-age"
  | "overloaded"
  | "too-many-connections"
  | "token-expired"
  // A server may be newer than this client.
  | (string & {});

export interface Interruption {
  readonly reason: InterruptionReason;
  /** For people; no token is in it. */
  readonly message: string;
  readonly httpStatus?: number;
}

export type SourceState =
  | { readonly name: "connecting" }
  /** The stream's first event has come. */
  | { readonly name: "open" }
  | {
      readonly name: "reconnecting";
      readonly why: Interruption;
      /** How long until it tries again. */
      readonly delayMs: number;
      /** The how manieth attempt since a stream was open; 1 is the first. */
      readonly attempt: number;
    }
  /** It has given up. */
  | { readonly name: "error"; readonly why: Interruption };

/** Who takes what a source brings. */
export interface FrameListener {
  readonly onState: (state: SourceState) => void;
  /** In order; all but `close`, which becomes a state. */
  readonly onFrame: (frame: Frame) => void;
  /** While it is closed a source brings no more than what it had read already. */
  readonly gate: Gate;
}

/**
 * Brings the frames of one subscription: each once, in the order of the stream, however often the
 * connection breaks.
 */
export interface FrameSource {
  /** Begins, after this id where one is given; after `stop` it goes on where it was. */
  start(lastEventId?: string): void;
  /** Brings nothing more, and says nothing. */
  stop(): void;
  /** Does not wait any longer for the next attempt. */
  retryNow(): void;
}
