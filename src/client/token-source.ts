import { checkToken } from "./authorization.ts";

/** A JWT, or what gives one: it is asked before each connection. */
export type Token = string | (() => string | undefined | Promise<string | undefined>);

/** A new token is asked for this long before the old one ends, or a tenth of its time where that is less. */
const EARLY_MS = 60_000;

/** However short tokens live, and if the same one is given again: not a connection each moment. */
const MIN_RENEWAL_MS = 5000;

/** Gives the token for each connection. */
export interface TokenSource {
  /** Rejects where none can be had. */
  readonly get: () => Promise<string | undefined>;
  /** Whether asking again may bring another one. */
  readonly isRenewable: boolean;
}

/** @throws Error for a string that no header can carry. */
export function tokenSource(token: Token | undefined): TokenSource {
  const isRenewable = typeof token === "function";
  if (!isRenewable) check(token);
  return { get: async () => check(isRenewable ? await token() : token), isRenewable };
}

function check(token: string | undefined): string | undefined {
  return token === undefined ? token : checkToken(token);
}

/** What a JWT says, unverified: that is the server's part. Empty where it is none. */
export function tokenClaims(token: string | undefined): Readonly<Record<string, unknown>> {
  const payload = token?.split(".")[1] ?? "";
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    // Any member may be of any type; who uses one looks at it.
    return (claims ?? {}) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}

/** In how many milliseconds another token is to be asked for; undefined where it does not say when it ends. */
export function renewalDelayMs(token: string | undefined, nowMs: number): number | undefined {
  const { exp } = tokenClaims(token);
  if (typeof exp !== "number") return undefined;
  const leftMs = exp * 1000 - nowMs;
  return Math.max(leftMs - Math.min(EARLY_MS, leftMs / 10), MIN_RENEWAL_MS);
}
