import { authorization } from "./authorization.ts";
import { withDeadline } from "./deadline.ts";
import { parseJson } from "./json.ts";
import { parseProblem, type Problem } from "./problem.ts";
import { parsePublished, type Published } from "./published.ts";

/** The part of `fetch` that is used here. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** One POST, which may be sent several times. */
export interface PublishRequest {
  readonly url: string;
  /** JSON. */
  readonly body: string;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal | undefined;
}

export interface Connection {
  readonly fetch: Fetch;
  /** Asked before each attempt: tokens expire. */
  readonly token: () => string | undefined | Promise<string | undefined>;
  /** For each attempt. */
  readonly timeoutMs: number;
}

export interface Failure {
  /** What happened, for people; nothing of what was sent is in it. */
  readonly reason: string;
  readonly status?: number;
  readonly problem?: Problem | undefined;
  readonly mayBeStored: boolean;
  readonly isRetryable: boolean;
  readonly retryAfter?: string | null;
  readonly cause?: unknown;
}

export type Outcome = { readonly published: Published } | { readonly failure: Failure };

/** What passes: the server, or a proxy before it, is too busy or away. */
const RETRYABLE = new Set([429, 502, 503, 504]);

/** Sends the request once, and says what became of it. */
export async function attempt(request: PublishRequest, connection: Connection): Promise<Outcome> {
  const { url, body, idempotencyKey, signal: outer } = request;
  let isSent = false;
  try {
    return await withDeadline(connection.timeoutMs, outer, async (signal) => {
      const headers = {
        "Content-Type": "application/json",
        Accept: "application/json",
        "Idempotency-Key": idempotencyKey,
        ...authorization(await connection.token()),
      };
      // A token that came too late: by now it is said that nothing was sent.
      signal.throwIfAborted();
      isSent = true;
      // A redirect that is followed makes a GET of a POST.
      const init = { method: "POST", headers, body, signal, redirect: "manual" } as const;
      return await readAnswer(await connection.fetch(url, init));
    });
  } catch (cause) {
    if (!isSent) {
      const failure = { mayBeStored: false, isRetryable: false, cause };
      return { failure: { ...failure, reason: "no token could be had" } };
    }
    const mayBeStored = !isConnectFailure(cause);
    return { failure: { reason: "no answer came", mayBeStored, isRetryable: true, cause } };
  }
}

async function readAnswer(response: Response): Promise<Outcome> {
  const { status } = response;
  if (response.type === "opaqueredirect" || (status >= 300 && status < 400)) {
    await response.body?.cancel();
    const reason = "the server redirects; give the address that it leads to as url";
    return { failure: { reason, status, mayBeStored: false, isRetryable: false } };
  }
  if (response.ok) {
    const published = parsePublished(parseJson(await response.text()));
    if (published) return { published };
    const reason = `the answer ${status} is none of Headgate's`;
    return { failure: { reason, status, mayBeStored: true, isRetryable: true } };
  }
  const problem = parseProblem(await response.text().catch(() => ""));
  const mayBeStored = problem?.mayBeStored;
  return {
    failure: {
      reason: `it was answered with ${[status, ...errorName(problem)].join(" ")}`,
      status,
      problem,
      // Who answers 4xx has refused it; behind a 5xx of a proxy anything may have happened.
      mayBeStored: typeof mayBeStored === "boolean" ? mayBeStored : status >= 500,
      isRetryable: RETRYABLE.has(status),
      retryAfter: response.headers.get("retry-after"),
    },
  };
}

/** The end of a problem's `type`, where it has the form of Headgate's: other words could be anything. */
function errorName(problem: Problem | undefined): string[] {
  const [, name] = /^\/errors\/([a-z-]{1,50})$/.exec(String(problem?.type)) ?? [];
  return name === undefined ? [] : [name];
}

/** Codes of Node and Bun for a connection that was never there: nothing can have been sent on it. */
const CONNECT_FAILURES = new Set<unknown>(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

function isConnectFailure(error: unknown): boolean {
  // Bun has the code in the error itself, Node in its cause.
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } | null };
  return CONNECT_FAILURES.has(code ?? cause?.code);
}
