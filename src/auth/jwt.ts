import { createHash } from "node:crypto";
import { badToken } from "./bad-token.ts";
import { type Claims, grantedBy } from "./claims.ts";
import { readToken } from "./credentials.ts";
import { ExpiredTokens } from "./expired-tokens.ts";
import type { Keys } from "./keys.ts";
import type { Authenticator, Credentials, Principal } from "./principal.ts";
import { usernameOf } from "./token-payload.ts";
import { LEEWAY_MS, verifyToken } from "./token-verification.ts";

/** What a token must be, and what it may do. */
export interface TokenRules {
  /** Required claim `iss`. */
  readonly issuer?: string | undefined;
  /** Required in the claim `aud`. */
  readonly audience?: string | undefined;
  /** What every token may do. */
  readonly defaultClaims: Claims;
  /** Whether a token may travel in `?token=`. */
  readonly allowQueryToken: boolean;
}

/** The rules, and exactly one of `secret`, `publicKey` and `jwksUrl`. */
export interface JwtSettings extends TokenRules {
  readonly secret?: string | undefined;
  /** PEM: SubjectPublicKeyInfo, or an X.509 certificate. */
  readonly publicKey?: string | undefined;
  readonly jwksUrl?: string | undefined;
}

interface JwtOptions {
  /** The wall clock: `exp` is a time of day. */
  readonly nowMs?: () => number;
  /** Shared with other processes, where there are some. */
  readonly expired?: ExpiredTokens | undefined;
}

/** What is kept of a principal's token: enough to know it again, and not to use it. */
interface TokenMemory {
  readonly fingerprint: string;
  readonly leewayEndsAtMs: number;
}

/** AUTH=jwt: a request is who its token says, and may do what its token says. */
export class JwtAuthenticator implements Authenticator {
  readonly #rules: TokenRules;
  readonly #keys: Keys;
  readonly #nowMs: () => number;
  readonly #expired: ExpiredTokens;
  readonly #memories = new WeakMap<Principal, TokenMemory>();

  constructor(
    rules: TokenRules,
    keys: Keys,
    { nowMs = Date.now, expired = new ExpiredTokens() }: JwtOptions = {},
  ) {
    this.#rules = rules;
    this.#keys = keys;
    this.#nowMs = nowMs;
    this.#expired = expired;
  }

  async authenticate(credentials: Credentials): Promise<Principal> {
    const { issuer, audience, defaultClaims, allowQueryToken } = this.#rules;
    const { text, from } = readToken(credentials, allowQueryToken);
    const nowMs = this.#nowMs;
    const payload = await verifyToken(text, this.#keys, { issuer, audience, nowMs });
    const fingerprint = fingerprintOf(text);
    if (this.#expired.has(fingerprint)) throw badToken("it has expired; get a new one");
    const expMs = payload.exp * 1000;
    const leewayEndsAtMs = expMs + LEEWAY_MS;
    const principal: Principal = {
      user: payload.sub,
      username: usernameOf(payload),
      mayNameItself: false,
      ...grantedBy(defaultClaims, payload.headgate ?? {}),
      token: { from, expiresAtMs: nowMs() < expMs ? expMs : leewayEndsAtMs },
    };
    this.#memories.set(principal, { fingerprint, leewayEndsAtMs });
    return principal;
  }

  onExpired(principal: Principal): void {
    const memory = this.#memories.get(principal);
    if (!memory) return;
    const { fingerprint, leewayEndsAtMs: untilMs } = memory;
    this.#expired.remember({ fingerprint, untilMs }, this.#nowMs());
  }
}

/**
 * SHA-256 of a token's signed part. Not of the signature: whoever has an ECDSA signature can make
 * another of it (r, n − s) that is as good, and a token would come back in a new dress.
 */
function fingerprintOf(text: string): string {
  return createHash("sha256")
    .update(text.slice(0, text.lastIndexOf(".")))
    .digest("base64");
}
