import type { Clock } from "./clock.ts";
import type { Frame, FrameListener, FrameSource } from "./frame-source.ts";
import { type Backoff, reconnectDelayMs } from "./reconnect-delay.ts";
import { watchSilence } from "./silence.ts";
import { renewalDelayMs, type TokenSource } from "./token-source.ts";
import type { Ending, Transport } from "./transport.ts";

export interface ConnectionOptions extends FrameListener {
  readonly transport: Transport;
  readonly token: TokenSource;
  readonly backoff: Backoff;
  /** Attempts in a row that may fail. */
  readonly maxAttempts: number;
  /** How long a connection may be without a byte. */
  readonly quietMs: number;
  readonly clock: Clock;
}

/** The longest that silence is borne, where it was nothing but silence each time. */
const MAX_QUIET_MS = 960_000;

/** A token that has just been made may be refused by a server whose clock is behind: once. */
const MAX_TOKEN_REFUSALS = 2;

/**
 * One stream over as many connections as it takes. It comes back with the last id, and so gets exactly
 * the rest: an event counts once its blank line has come, and a part of one is forgotten.
 */
export class Connection implements FrameSource {
  readonly #options: ConnectionOptions;
  #lastEventId: string | undefined;
  #retryMs = 0;
  #quietMs: number;
  /** Attempts in a row that brought no stream. */
  #failures = 0;
  #tokenRefusals = 0;
  #isOpen = false;
  #closing: Ending | undefined;
  #running = new AbortController();
  #wake: () => void = () => undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#quietMs = options.quietMs;
  }

  /** The id that it would come back with. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  start(lastEventId?: string): void {
    this.stop();
    this.#running = new AbortController();
    this.#lastEventId = lastEventId ?? this.#lastEventId;
    this.#failures = 0;
    this.#tokenRefusals = 0;
    this.#quietMs = this.#options.quietMs;
    void this.#run(this.#running.signal);
  }

  stop(): void {
    this.#running.abort();
  }

  retryNow(): void {
    this.#wake();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { onState, clock, backoff, maxAttempts, gate } = this.#options;
    this.#isOpen = false;
    while (!signal.aborted) {
      if (!this.#isOpen) onState({ name: "connecting" });
      await gate.opened();
      if (signal.aborted) return;
      const ending = await this.#connect(signal);
      if (signal.aborted) return;
      if (ending.kind === "full") continue;
      const { why } = ending;
      this.#isOpen = false;
      const attempt = this.#failures + 1;
      if (ending.kind === "refused" || attempt > maxAttempts) {
        onState({ name: "error", why });
        return;
      }
      const retryMs = Math.max(this.#retryMs, ending.retryMs ?? 0);
      const random = clock.random();
      const ms = reconnectDelayMs({ attempt: this.#failures, backoff, retryMs, random });
      this.#failures = attempt;
      onState({ name: "reconnecting", why, delayMs: ms, attempt });
      await this.#wait(ms, signal);
    }
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        this.#wake = () => undefined;
        resolve();
      };
      const cancel = this.#options.clock.after(ms, done);
      signal.addEventListener("abort", done);
      this.#wake = done;
    });
  }

  /** Opens one connection and reads it to its end. */
  async #connect(running: AbortSignal): Promise<Ending> {
    const { clock, gate } = this.#options;
    const connection = new AbortController();
    const abort = (): void => connection.abort();
    running.addEventListener("abort", abort);
    const silence = watchSilence({ clock, gate, quietMs: this.#quietMs }, abort);
    const renewal = { isDue: false, cancel: (): void => undefined };
    this.#closing = undefined;
    try {
      const renew = (): void => {
        renewal.isDue = true;
        abort();
      };
      const open = this.#open(connection.signal, {
        onBytes: silence.noteBytes,
        onToken: (token) => (renewal.cancel = this.#renewLater(token, renew)),
      });
      const ending = await Promise.race([open, aborted(connection.signal)]);
      return this.#closing ?? this.#judge(ending);
    } catch (error) {
      if (renewal.isDue) return { kind: "full" };
      if (!silence.hasFired)
        return lost("unreachable", `The server cannot be reached${said(error)}`);
      this.#quietMs = Math.min(MAX_QUIET_MS, this.#quietMs * 2);
      return lost("silent", "The server has said nothing for too long");
    } finally {
      silence.end();
      renewal.cancel();
      running.removeEventListener("abort", abort);
      connection.abort();
    }
  }

  async #open(
    signal: AbortSignal,
    { onBytes, onToken }: { onBytes: () => void; onToken: (token: string | undefined) => void },
  ): Promise<Ending> {
    const { transport, token: tokens, gate } = this.#options;
    let token: string | undefined;
    try {
      token = await tokens.get();
    } catch (error) {
      return lost("token", `No token can be had${said(error)}`);
    }
    if (signal.aborted) throw signal.reason;
    onToken(token);
    return transport(
      { token, lastEventId: this.#lastEventId, signal },
      {
        gate,
        onBytes,
        onRetry: (retryMs) => (this.#retryMs = retryMs),
        onFrame: (frame) => {
          // What was read before somebody else took over is not for this one to tell.
          if (!signal.aborted) this.#take(frame);
        },
      },
    );
  }

  /** Calls shortly before a token ends, where another one can be had; returns what calls it off. */
  #renewLater(token: string | undefined, renew: () => void): () => void {
    const { token: tokens, clock } = this.#options;
    const delayMs = renewalDelayMs(token, clock.wallMs());
    return tokens.isRenewable && delayMs !== undefined
      ? clock.after(delayMs, renew)
      : () => undefined;
  }

  /** A refusal for want of a good token passes with another one, if there can be any. */
  #judge(ending: Ending): Ending {
    if (ending.kind !== "refused" || ending.why.httpStatus !== 401) return ending;
    this.#tokenRefusals += 1;
    const mayPass = this.#options.token.isRenewable && this.#tokenRefusals < MAX_TOKEN_REFUSALS;
    return mayPass ? { kind: "lost", why: ending.why } : ending;
  }

  #take(frame: Frame): void {
    this.#lastEventId = frame.id || undefined;
    if (frame.type === "close") {
      this.#closing = this.#readClose(frame.data);
      return;
    }
    this.#failures = 0;
    this.#tokenRefusals = 0;
    if (!this.#isOpen) this.#options.onState({ name: "open" });
    this.#isOpen = true;
    this.#options.onFrame(frame);
  }

  #readClose(data: string): Ending {
    const { reason = "ended", reconnect = true }: { reason?: string; reconnect?: boolean } =
      JSON.parse(data);
    const why = { reason, message: `The server has closed the stream (${reason})` };
    const mayReturn = reconnect || (reason === "token-expired" && this.#options.token.isRenewable);
    return { kind: mayReturn ? "lost" : "refused", why };
  }
}

function lost(reason: string, message: string): Ending {
  return { kind: "lost", why: { reason, message } };
}

/** What an error says, as a part of a sentence. */
function said(error: unknown): string {
  return error instanceof Error ? ` (${error.message})` : "";
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")));
  });
}
