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

/** A source that can say where it is. */
export interface Connection extends FrameSource {
  /** The id that it would come back with. */
  readonly lastEventId: string | undefined;
}

/** The longest that silence is borne, where it was nothing but silence each time. */
const MAX_QUIET_MS = 960_000;

/** A token that has just been made may be refused once: by a server whose clock is behind. */
const MAX_TOKEN_REFUSALS = 2;

/**
 * One stream over as many connections as it takes. It comes back with the last id, and so gets exactly
 * the rest: an event counts once its blank line has come, and a part of one is forgotten.
 */
export function createConnection(options: ConnectionOptions): Connection {
  const { transport, token: tokens, backoff, maxAttempts, gate, clock, onState, onFrame } = options;
  let lastEventId: string | undefined;
  let retryMs = 0;
  let { quietMs } = options;
  /** Attempts in a row that brought no stream. */
  let failures = 0;
  let tokenRefusals = 0;
  let isOpen = false;
  /** What the server said before it ended the stream. */
  let closing: Ending | undefined;
  /** Counts starts and stops: what runs for an older one is over. */
  let runs = 0;
  let abort = (): void => undefined;
  let wake = (): void => undefined;

  function stop(): void {
    runs += 1;
    abort();
    wake();
  }

  async function keepOpen(): Promise<void> {
    const run = runs;
    for (;;) {
      if (!isOpen) onState({ name: "connecting" });
      await gate.opened();
      if (run !== runs) return;
      const ending = await connectOnce();
      if (run !== runs) return;
      if (ending.kind === "again") continue;
      isOpen = false;
      const { why } = ending;
      const attempt = failures + 1;
      if (ending.kind === "refused" || attempt > maxAttempts) {
        onState({ name: "error", why });
        return;
      }
      const delayMs = reconnectDelayMs({
        attempt: failures,
        backoff,
        retryMs: Math.max(retryMs, ending.retryMs ?? 0),
        random: clock.random(),
      });
      failures = attempt;
      onState({ name: "reconnecting", why, delayMs, attempt });
      await new Promise<void>((resolve) => {
        const cancel = clock.after(delayMs, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
  }

  /** Opens one connection and reads it to its end. */
  async function connectOnce(): Promise<Ending> {
    const connection = new AbortController();
    const { signal } = connection;
    abort = () => connection.abort();
    closing = undefined;
    /** What is said of a connection that is aborted. */
    let ending = lost("stopped", "");
    const silence = watchSilence({ clock, gate, quietMs }, () => {
      quietMs = Math.min(MAX_QUIET_MS, quietMs * 2);
      ending = lost("silent", "The server has said nothing for too long");
      connection.abort();
    });
    const renew = (): void => {
      ending = { kind: "again" };
      connection.abort();
    };
    try {
      // Whether or not the transport, or who gives the token, heeds the signal.
      ending = await Promise.race([open(signal, silence.noteBytes, renew), aborted(signal)]);
    } catch (error) {
      if (!signal.aborted) ending = lost("unreachable", "The server cannot be reached", error);
    }
    silence.end();
    connection.abort();
    return closing ?? ending;
  }

  async function open(
    signal: AbortSignal,
    onBytes: () => void,
    renew: () => void,
  ): Promise<Ending> {
    let token: string | undefined;
    try {
      token = await tokens.get();
    } catch (error) {
      return lost("token", "No token can be had", error);
    }
    signal.throwIfAborted();
    const renewalMs = renewalDelayMs(token, clock.wallMs());
    if (tokens.isRenewable && renewalMs !== undefined) {
      signal.addEventListener("abort", clock.after(renewalMs, renew));
    }
    const ending = await transport(
      { token, lastEventId, signal },
      {
        gate,
        onBytes,
        onRetry: (ms) => (retryMs = ms),
        onFrame: (frame) => {
          // What was read before somebody else took over is not for this one to tell.
          if (!signal.aborted) take(frame);
        },
      },
    );
    if (ending.kind !== "refused" || ending.why.httpStatus !== 401) return ending;
    // For want of a good token: it passes with another one, if there can be any.
    tokenRefusals += 1;
    const mayPass = tokens.isRenewable && tokenRefusals < MAX_TOKEN_REFUSALS;
    return mayPass ? { ...ending, kind: "lost" } : ending;
  }

  function take(frame: Frame): void {
    lastEventId = frame.id || undefined;
    if (frame.type === "close") {
      closing = readClose(frame.data);
      return;
    }
    failures = 0;
    tokenRefusals = 0;
    if (!isOpen) onState({ name: "open" });
    isOpen = true;
    onFrame(frame);
  }

  function readClose(data: string): Ending {
    const { reason = "ended", reconnect = true }: { reason?: string; reconnect?: boolean } =
      JSON.parse(data);
    const why = { reason, message: `The server has closed the stream (${reason})` };
    const mayReturn = reconnect || (reason === "token-expired" && tokens.isRenewable);
    return { kind: mayReturn ? "lost" : "refused", why };
  }

  return {
    get lastEventId() {
      return lastEventId;
    },
    start(id) {
      stop();
      lastEventId = id ?? lastEventId;
      ({ quietMs } = options);
      failures = 0;
      tokenRefusals = 0;
      isOpen = false;
      void keepOpen();
    },
    stop,
    retryNow: () => wake(),
  };
}

function lost(reason: string, what: string, error?: unknown): Ending {
  const said = error instanceof Error ? ` (${error.message})` : "";
  return { kind: "lost", why: { reason, message: what + said } };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", reject);
  });
}
