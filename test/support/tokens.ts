import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { CompactSign, type JWK } from "jose";
import type { Authenticator, Credentials, Principal } from "../../src/auth/principal.ts";
import { HeadgateError } from "../../src/errors.ts";

export const SECRET = "a secret of the tests that is long enough";

/** A pair of keys, made for one test run. */
export interface KeyPair {
  readonly alg: string;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo. */
  readonly pem: string;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

export function makeKeyPair(alg: string, { rsaBits = 2048 } = {}): KeyPair {
  const namedCurve = CURVES[alg];
  const { publicKey, privateKey } = alg.startsWith("RS")
    ? generateKeyPairSync("rsa", { modulusLength: rsaBits })
    : namedCurve === undefined
      ? generateKeyPairSync("ed25519")
      : generateKeyPairSync("ec", { namedCurve });
  return {
    alg,
    privateKey,
    pem: publicKey.export({ type: "spki", format: "pem" }),
    publicJwk: publicKey.export({ format: "jwk" }),
    privateJwk: privateKey.export({ format: "jwk" }),
  };
}

/** Seconds from now, as `exp` has them. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** A token that is good for an hour, unless its claims say otherwise. */
export function sign(
  { alg, privateKey }: Pick<KeyPair, "alg" | "privateKey">,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const payload = JSON.stringify({ sub: "u1", exp: inSeconds(3600), ...claims });
  return new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader({ alg, ...header })
    .sign(privateKey);
}

/** A token with a header and a payload of any text, signed by HMAC-SHA-256 whatever its header says. */
export function signText(
  header: string,
  payload = JSON.stringify({ sub: "u1", exp: inSeconds(3600) }),
  secret = SECRET,
): string {
  const text = [header, payload].map((one) => Buffer.from(one).toString("base64url")).join(".");
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** A good token of SECRET with these claims. */
export function hmacToken(claims: Readonly<Record<string, unknown>> = {}): string {
  const payload = { sub: "u1", exp: inSeconds(3600), ...claims };
  return signText(JSON.stringify({ alg: "HS256" }), JSON.stringify(payload));
}

/** What an authenticator sees of a GET with these headers, from another machine. */
export function credentials(
  headers: Readonly<Record<string, string>>,
  { query = "", isLocal = () => false }: { query?: string; isLocal?: () => boolean } = {},
): Credentials {
  return { headers: new Headers(headers), url: `http://localhost/events${query}`, isLocal };
}

export async function principalOf(authenticator: Authenticator, token: string): Promise<Principal> {
  return authenticator.authenticate(credentials({ authorization: `Bearer ${token}` }));
}

/** The error with which something is refused: thrown, or as a rejection. */
export async function refusal(attempt: () => unknown): Promise<HeadgateError> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error("Not refused");
}
