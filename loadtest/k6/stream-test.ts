/**
 * The load test's logic, with everything that only k6 has passed in, so that it also runs without k6.
 *
 * Each virtual user opens one event stream and reads it until the test's planned end. `sse.open` blocks
 * its virtual user: nothing but the stream's own events and errors runs meanwhile, no timer either.
 */

/** What the test is told from outside. */
export interface Settings {
  readonly target: string;
  readonly streams: number;
  readonly rampS: number;
  readonly holdS: number;
  readonly token: string | undefined;
}

/** The module `k6/x/sse`, as far as it is used. */
export interface Sse {
  open(url: string, params: SseParams, setup: (client: SseClient) => void): SseResponse | null;
}

export interface SseParams {
  readonly headers: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export interface SseClient {
  /** The response has begun, whatever its status. */
  on(name: "open", handler: () => void): void;
  on(name: "event", handler: (event: SseEvent) => void): void;
  /** The stream broke, or a line of it is no event's. Reading is over, and yet `open` returns only after `close`. */
  on(name: "error", handler: (error: unknown) => void): void;
  close(): void;
}

export interface SseEvent {
  readonly name: string;
  readonly data: string;
}

export interface SseResponse {
  readonly status: number;
  /** Why there was no response; else empty. */
  readonly error: string;
}

/** One of k6's custom metrics. */
export interface Metric {
  add(value: number | boolean): void;
}

export type MetricName = keyof typeof THRESHOLDS | "stream_events";

/** What k6 has, or a stand-in for it. Times are in milliseconds; `sleep` takes seconds. */
export interface K6 {
  readonly sse: Sse;
  readonly metrics: Readonly<Record<MetricName, Metric>>;
  readonly check: (response: SseResponse | null, checks: Checks) => unknown;
  readonly sleep: (seconds: number) => void;
  readonly now: () => number;
}

export type Checks = Readonly<Record<string, (response: SseResponse | null) => boolean>>;

export const THRESHOLDS = {
  /** Streams that were answered with 200 and not turned away. */
  stream_connected: "rate>0.95",
  /** Streams that were not, or that ended before their time; at most one for each stream. */
  stream_errors: "count<500",
  /** From the request to the first byte of the response. */
  stream_response_ms: "p(95)<5000",
  /** From there to the first event. */
  stream_first_event_ms: "p(95)<3000",
} as const;

/** Reads k6's `__ENV`. Throws on what is no number, and on a target that is no http address. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const number = (name: string, absent: number): number => {
    const text = env[name] ?? "";
    const value = text === "" ? absent : Number(text);
    if (!(value > 0)) throw new Error(`${name}=${text}: a number above 0 is needed`);
    return value;
  };
  const target = (env["TARGET"] ?? "") === "" ? "http://127.0.0.1:3000/events" : env["TARGET"];
  if (target === undefined || !/^https?:\/\/[^/]/.test(target)) {
    throw new Error(`TARGET=${target}: the address of an event stream is needed`);
  }
  return {
    target,
    streams: number("STREAMS", 1_000),
    rampS: number("RAMP_S", 30),
    holdS: number("HOLD_S", 60),
    token: env["TOKEN"] === "" ? undefined : env["TOKEN"],
  };
}

/** k6's options: as many virtual users as streams, more and more of them during the ramp. */
export function optionsFor({ streams, rampS, holdS }: Settings): object {
  const thresholds = Object.entries(THRESHOLDS).map(([name, limit]) => [name, [limit]]);
  return {
    scenarios: {
      streams: {
        executor: "ramping-vus",
        exec: "stream",
        startVUs: 0,
        stages: [
          { duration: `${rampS}s`, target: streams },
          { duration: `${holdS}s`, target: streams },
        ],
        // A stream is closed at the first event after its end: the next heartbeat, where nothing is published.
        gracefulStop: "40s",
      },
    },
    thresholds: Object.fromEntries(thresholds) as Record<string, readonly string[]>,
    summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
  };
}

/** When streams are closed, in milliseconds since 1970. */
export interface Plan {
  readonly endMs: number;
}

export function planFrom(nowMs: number, { rampS, holdS }: Settings): Plan {
  return { endMs: nowMs + (rampS + holdS) * 1_000 };
}

/** One virtual user's turn: one stream, and then nothing more. Reconnects are no part of this test. */
export function runStream(k6: K6, settings: Settings, { endMs }: Plan): void {
  if (k6.now() < endMs) readStream(k6, settings, endMs);
  // k6 begins its next turn at once, and that would be another stream.
  k6.sleep(Math.max(MIN_SLEEP_S, (endMs - k6.now()) / 1_000));
}

/** k6 may go on for a moment after the planned end. */
const MIN_SLEEP_S = 1;

function readStream(k6: K6, { target, token }: Settings, endMs: number): void {
  const { sse, metrics, check, now } = k6;
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const startMs = now();
  let openMs = startMs;
  let isFirst = true;
  let isClosing = false;
  let hasFailed = false;

  const fail = (): void => {
    if (!hasFailed) metrics.stream_errors.add(1);
    hasFailed = true;
  };

  const response = sse.open(target, { headers, tags: { name: "events" } }, (client) => {
    // At most once: a second call from an error that the first one causes would wait for itself.
    const close = (): void => {
      if (isClosing) return;
      isClosing = true;
      client.close();
    };
    client.on("open", () => {
      openMs = now();
      metrics.stream_response_ms.add(openMs - startMs);
    });
    client.on("event", ({ name, data }) => {
      // The extension also hands on what the standard drops, such as a lone `retry:` with its empty line.
      if (name === "" && data === "") return;
      metrics.stream_events.add(1);
      // Who is turned away is told so by an event: browsers never come back after another status than 200.
      const isEnd = name === "close" && now() < endMs;
      if (isFirst) {
        metrics.stream_connected.add(!isEnd);
        metrics.stream_first_event_ms.add(now() - openMs);
        isFirst = false;
      }
      if (isEnd) fail();
      if (isEnd || now() >= endMs) close();
    });
    client.on("error", () => {
      // What our own closing breaks is no error.
      if (isClosing) return;
      fail();
      close();
    });
  });

  const isOk = response?.status === 200 && response.error === "";
  check(response, { "status is 200": () => isOk });
  // No event came: refused, or nothing but silence.
  if (isFirst) metrics.stream_connected.add(isOk);
  if (!isOk || (!isClosing && now() < endMs)) fail();
}
