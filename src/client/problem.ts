import { parseJson } from "./json.ts";

/** What the server says went wrong [RFC 9457]; `type` is stable, such as `/errors/topic-not-found`. */
export interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  /** Place in the body [RFC 6901]. */
  readonly pointer?: string;
  readonly mayBeStored?: boolean;
  readonly [member: string]: unknown;
}

/** What a text says is a problem; undefined where it is none. */
export function parseProblem(text: string): Problem | undefined {
  const body = parseJson(text);
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  // Any member may be of any type; who uses one looks at it.
  return body as Problem;
}

/** What a problem says, or the status where the answer is none: a proxy's, perhaps. */
export async function problemText(response: Response): Promise<string> {
  // Others' pages may be of any length, and are not read.
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
  const { detail } = ((isProblem && parseJson(await response.text())) || {}) as Problem;
  return typeof detail === "string" ? detail : `The answer was ${response.status}`;
}
