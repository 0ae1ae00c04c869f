import type { Clock } from "./clock.ts";
import type { Frame, FrameListener, FrameSource } from "./frame-source.ts";
import { parseJson } from "./json.ts";
import { type Backoff, reconnectDelayMs } from "./reconnect-delay.ts";
import { watchSilence } from "./silence.ts";
import { renewalDelayMs, type TokenSource } from "./token-source.ts";
import { type Ending, lost, type Transport } from "./transport.ts";

export interface ConnectionOptions extends FrameListener {
  readonly transport: Transport;
  readonly token: TokenSource;
  readonly backoff: Backoff | undefined;
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
  let wasTokenRefused = false;
  let isOpen = false;
  /** Whether this connection has brought anything. */
  let isAnswered = false;
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
      quietMs = why.reason === "silent" ? Math.min(MAX_QUIET_MS, quietMs * 2) : options.quietMs;
      failures += 1;
      if (ending.kind === "refused" || failures > maxAttempts) {
        onState({ name: "error", why });
        return;
      }
      const delayMs = reconnectDelayMs({
        attempt: failures - 1,
        backoff,
        retryMs: Math.max(retryMs, ending.retryMs ?? 0),
        random: clock.random(),
      });
      const wait = new Promise<void>((resolve) => {
        const cancel = clock.after(delayMs, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
      // Who is told may end the wait, or everything.
      onState({ name: "reconnecting", why, delayMs, attempt: failures });
      await wait;
      if (run !== runs) return;
    }
  }

  /** Opens one connection and reads it to its end. */
  async function connectOnce(): Promise<Ending> {
    const connection = new AbortController();
    const { signal } = connection;
    abort = () => connection.abort();
    closing = undefined;
    isAnswered = false;
    /** What it will have come to if nothing more happens. */
    let ending = lost("token", "No token can be had");
    const silence = watchSilence({ clock, gate, quietMs }, abort);
    const renew = (): void => {
      // What was never answered is no stream that goes on.
      if (isAnswered) ending = { kind: "again" };
      connection.abort();
    };
    async function read(): Promise<Ending> {
      const token = await tokens.get();
      signal.throwIfAborted();
      ending = lost("silent", "The server has said nothing for too long");
      const renewalMs = renewalDelayMs(token, clock.wallMs());
      if (tokens.isRenewable && renewalMs !== undefined) {
        signal.addEventListener("abort", clock.after(renewalMs, renew));
      }
      return transport(
        { token, lastEventId, signal },
        {
          gate,
          onBytes: silence.noteBytes,
          onRetry: (ms) => (retryMs = ms),
          onFrame: (frame) => {
            // What was read before somebody else took over is not for this one to tell.
            if (!signal.aborted) take(frame);
          },
        },
      ).catch((error: unknown) => {
        const said = error instanceof Error ? ` (${error.message})` : "";
        return lost("unreachable", `The server cannot be reached${said}`);
      });
    }

    // Whether or not the transport, or who gives the token, heeds the signal.
    const result = await Promise.race([read(), aborted(signal)]).catch(() => ending);
    silence.end();
    connection.abort();
    return closing ?? forgive(result);
  }

  /** A token that has just been made may be refused once: by a server whose clock is behind. */
  function forgive(ending: Ending): Ending {
    if (ending.kind !== "refused" || ending.why.httpStatus !== 401) return ending;
    if (wasTokenRefused || !tokens.isRenewable) return ending;
    wasTokenRefused = true;
    return { ...ending, kind: "lost" };
  }

  function take(frame: Frame): void {
    lastEventId = frame.id || undefined;
    isAnswered = true;
    if (frame.type === "close") {
      closing = readClose(frame.data);
      return;
    }
    failures = 0;
    wasTokenRefused = false;
    if (!isOpen) {
      isOpen = true;
      onState({ name: "open" });
    }
    onFrame(frame);
  }

  function readClose(data: string): Ending {
    // What else it holds, or is, says nothing.
    const { reason = "ended", reconnect = true } = (parseJson(data) ?? {}) as {
      reason?: string;
      reconnect?: boolean;
    };
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
      wasTokenRefused = false;
      isOpen = false;
      void keepOpen();
    },
    stop,
    retryNow: () => wake(),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", reject);
  });
}
