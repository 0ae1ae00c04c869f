import type { Interruption } from "./frame-source.ts";
import type { StandardSchema } from "./standard-schema.ts";

/**
 * | status | the stream |
 * |---|---|
 * | `connecting` | has not been open yet |
 * | `open` | brings events as they come |
 * | `reconnecting` | was open, or could not be opened, and comes back by itself |
 * | `closed` | was closed by its user |
 * | `error` | has given up; `error` says why |
 */
export type StreamStatus = "connecting" | "open" | "reconnecting" | "closed" | "error";

/** What goes with a status. */
export interface StatusDetail {
  /** Why it is `reconnecting`, or in `error`. */
  readonly why?: Interruption;
  /** While it is `reconnecting`: how long until the next attempt, milliseconds. */
  readonly delayMs?: number;
  /** While it is `reconnecting`: which attempt that is, from 1. */
  readonly attempt?: number;
}

/** An event that a producer has published. */
export interface StreamEvent<Type extends string = string, Data = unknown> {
  /** `message` where the record names none; `delete` for a tombstone, `binary` for bytes in base64. */
  readonly type: Type;
  /**
   * The value: parsed where it is JSON, else its text; with a schema, what that makes of it. Numbers
   * beyond 2^53 lose digits in it, and not in `text`.
   */
  readonly data: Data;
  /** The value as it came. */
  readonly text: string;
  /** The position after it: whoever comes back with it gets what follows. */
  readonly id: string;
}

/** How the stream begins: at the start, and each time that it has come back. */
export interface ConnectionNotice {
  /** The address for `headgate-client`. */
  readonly clientId: string;
  readonly topics: readonly string[];
  /** Whether it goes on from an id. */
  readonly resumed: boolean;
}

/** Some events are gone, or may be (docs/protocol.md, section 4): the stream goes on elsewhere. */
export interface ResetNotice {
  readonly reason:
    | "malformed"
    | "recreated"
    | "expired"
    | "ahead"
    | "lost"
    | "lagged"
    | (string & {});
  readonly topics: readonly string[];
  /** The id that could not be honoured, cut at 100 characters. */
  readonly requested?: string;
  /** Where it goes on. */
  readonly position?: string;
}

/** A record that could not be shown. */
export interface SkippedNotice {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly reason: string;
}

/** All that was missed has come. */
export interface LiveNotice {
  /** How many events were missed. */
  readonly replayed: number;
}

/** Schemas by event type: of zod, valibot, arktype, or whatever follows Standard Schema. */
export type Schemas = Readonly<Record<string, StandardSchema>>;

/** The events of a stream with schemas: a union by `type`. Without: any. */
export type EventOf<S extends Schemas> = string extends keyof S
  ? StreamEvent
  : {
      [Type in keyof S & string]: StreamEvent<Type, SchemaOutput<S[Type]>>;
    }[keyof S & string];

type SchemaOutput<S> = S extends StandardSchema<infer Output> ? Output : never;

/** Where a position is kept over page loads: `localStorage`, `sessionStorage`, or what does the same. */
export interface PositionStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, id: string): void | Promise<void>;
}

/** An event stream that is being read. It ends by `close` and, in `error`, when it has given up. */
export interface Stream<E extends StreamEvent = StreamEvent> extends AsyncIterable<E> {
  readonly status: StreamStatus;
  /** Why it has given up; undefined while it has not. */
  readonly error: StreamError | undefined;
  /** The position after the last event that was dealt with. */
  readonly lastEventId: string | undefined;
  /** Does not wait any longer for the next attempt. */
  retryNow(): void;
  close(): void;
}

/** The stream has given up. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  declare readonly reason: Interruption["reason"];
  /** Of the answer, where there was one. */
  declare readonly httpStatus: number | undefined;

  constructor({ reason, message, httpStatus }: Interruption, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.httpStatus = httpStatus;
  }
}
