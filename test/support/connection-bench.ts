import { type Connection, createConnection } from "../../src/client/connection.ts";
import type { Frame, SourceState } from "../../src/client/frame-source.ts";
import { Gate } from "../../src/client/gate.ts";
import type { Backoff } from "../../src/client/reconnect-delay.ts";
import { type Token, tokenSource } from "../../src/client/token-source.ts";
import type { Ending, TransportRequest, TransportSink } from "../../src/client/transport.ts";
import { ManualClock, settled } from "./manual-clock.ts";

/** One connection, which does what a test says, and heeds no signal: as bad as transports can be. */
export interface Attempt extends TransportRequest, TransportSink {
  /** A frame comes. */
  send(id: string, type?: string, data?: string): Promise<void>;
  end(ending: Ending): Promise<void>;
  break(error: unknown): Promise<void>;
}

/** A connection with a server and a clock that do what a test says. */
export class ConnectionBench {
  readonly clock = new ManualClock();
  readonly gate = new Gate();
  readonly states: SourceState[] = [];
  readonly frames: Frame[] = [];
  readonly attempts: Attempt[] = [];
  readonly connection: Connection;
  /** Called with each state, in the middle of things. */
  onState: (state: SourceState) => void = () => undefined;

  constructor({
    token,
    maxAttempts = Infinity,
    quietMs = 45_000,
    backoff = { firstMs: 5000, factor: 1.5, maxMs: 30_000 },
  }: { token?: Token; maxAttempts?: number; quietMs?: number; backoff?: Backoff } = {}) {
    const { clock, gate } = this;
    this.connection = createConnection({
      clock,
      gate,
      maxAttempts,
      quietMs,
      backoff,
      token: tokenSource(token),
      transport: (request, sink) => {
        const { promise, resolve, reject } = Promise.withResolvers<Ending>();
        this.attempts.push({
          ...request,
          ...sink,
          send: (id, type = "message", data = "") => {
            sink.onBytes();
            sink.onFrame({ type, id, data });
            return settled();
          },
          end: (ending) => {
            resolve(ending);
            return settled();
          },
          break: (error) => {
            reject(error);
            return settled();
          },
        });
        return promise;
      },
      onFrame: (frame) => this.frames.push(frame),
      onState: (state) => {
        this.states.push(state);
        this.onState(state);
      },
    });
  }

  get state(): SourceState | undefined {
    return this.states.at(-1);
  }

  get stateNames(): readonly string[] {
    return this.states.map(({ name }) => name);
  }

  /** The newest connection. @throws Error where there was none. */
  get attempt(): Attempt {
    const attempt = this.attempts.at(-1);
    if (!attempt) throw new Error("Nothing was opened");
    return attempt;
  }

  start(lastEventId?: string): Promise<void> {
    this.connection.start(lastEventId);
    return settled();
  }
}

export const ENDED = { kind: "lost", why: { reason: "ended", message: "over" } } as const;

export function refused(httpStatus: number) {
  const why = { reason: "refused", message: `no ${httpStatus}`, httpStatus };
  return { kind: "refused", why } as const;
}

/** A JWT of this payload, which nobody has signed. */
export function unsignedToken(payload: unknown): string {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  return `e30.${Buffer.from(text).toString("base64url")}.c2ln`;
}
