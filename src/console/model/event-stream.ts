import type { Clock } from "../../client/clock.ts";
import { type Connection, createConnection } from "../../client/connection.ts";
import type { Frame, Interruption, SourceState } from "../../client/frame-source.ts";
import { Gate } from "../../client/gate.ts";
import type { TokenSource } from "../../client/token-source.ts";
import type { Transport } from "../../client/transport.ts";
import { ReceivedEvent } from "./received-event.ts";
import { describeClose, type ResetNotice, type StreamState } from "./stream-state.ts";

export interface EventStreamOptions {
  readonly transport: Transport;
  readonly token: TokenSource;
  readonly onState: (state: StreamState) => void;
  readonly onEvent: (event: ReceivedEvent) => void;
  readonly onReset: (notice: ResetNotice) => void;
  readonly clock: Clock;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
}

/** Somebody watches: it comes back sooner than a page that nobody looks at. */
const BACKOFF = { firstMs: 1000, factor: 2, maxMs: 30_000 };

/** Heartbeats come every 15 s, unless set otherwise: what is silent for longer may be half open. */
const QUIET_MS = 60_000;

/** The page's one stream: what the connection brings, as the console shows it. */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #connection: Connection;
  #received = 0;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const { transport, token, clock } = options;
    this.#connection = createConnection({
      transport,
      token,
      clock,
      backoff: BACKOFF,
      maxAttempts: Infinity,
      quietMs: QUIET_MS,
      // The tail lets go of what is old: it is never full.
      gate: new Gate(),
      onState: (state) => this.#follow(state),
      onFrame: (frame) => this.#take(frame),
    });
  }

  /** The id that it would come back with. */
  get lastEventId(): string | undefined {
    return this.#connection.lastEventId;
  }

  /** Opens it, or opens it anew where it was left: with other parameters, or another token. */
  start(): void {
    this.#connection.start();
  }

  stop(): void {
    this.#connection.stop();
    this.#options.onState({ name: "stopped" });
  }

  /** Does not wait any longer. */
  retryNow(): void {
    this.#connection.retryNow();
  }

  #follow(state: SourceState): void {
    const { onState, nowMs } = this.#options;
    if (state.name === "connecting") onState({ name: "connecting" });
    else if (state.name === "open") onState({ name: "behind" });
    else if (state.name === "error") {
      // A token that has expired is refused as if it had come now.
      const { httpStatus: status = 401 } = state.why;
      onState({ name: "refused", status, why: describe(state.why) });
    } else {
      const retryAtMs = nowMs() + state.delayMs;
      onState({ name: "disconnected", why: describe(state.why), retryAtMs });
    }
  }

  #take({ type, id, data }: Frame): void {
    const { onState, onEvent, onReset } = this.#options;
    if (type === "live") onState({ name: "live" });
    else if (type === "reset") {
      const { reason, topics }: ResetNotice = JSON.parse(data);
      onReset({ reason, topics });
    } else if (type !== "connection" && type !== "heartbeat") {
      this.#received += 1;
      onEvent(new ReceivedEvent(this.#received, { type, id, data }));
    }
  }
}

/** The connection's own words, or the console's for what the server has said. */
function describe({ reason, message }: Interruption): string {
  return describeClose(reason) ?? message;
}
