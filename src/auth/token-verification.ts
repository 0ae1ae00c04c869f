import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { z } from "zod";
import { HeadgateError } from "../errors.ts";
import { badToken } from "./bad-token.ts";
import type { KeyHint, Keys } from "./keys.ts";
import { parsePayload, type Payload } from "./token-payload.ts";

/** How far clocks may differ: for `exp`, `nbf` and `iat`. */
export const LEEWAY_MS = 60_000;

/**
 * Most keys that one token is tried with. A token without `kid` fits every key of its algorithm: a
 * stranger's garbage must not cost a hundred checks of a signature.
 */
const MAX_TRIED = 8;

export interface Expectations {
  /** Claim `iss`; undefined: any. */
  readonly issuer: string | undefined;
  /** One of the claim `aud`; undefined: any. */
  readonly audience: string | undefined;
  readonly nowMs: () => number;
}

/**
 * Verifies a token's signature, then its claims [RFC 7519 §7.2].
 * @throws HeadgateError `unauthorized` with a reason; `not-ready` where the keys cannot be had.
 */
export async function verifyToken(
  text: string,
  keys: Keys,
  { issuer, audience, nowMs }: Expectations,
): Promise<Payload> {
  const candidates = await keys.find(readHint(text));
  let refusal = badToken("no key that is trusted here fits its header");
  for (const { key, algorithms } of candidates.slice(0, MAX_TRIED)) {
    try {
      const currentDate = new Date(nowMs());
      const { payload } = await jwtVerify(text, key, {
        algorithms: [...algorithms],
        requiredClaims: ["exp"],
        clockTolerance: LEEWAY_MS / 1000,
        currentDate,
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      });
      return checkIssuedAt(parsePayload(payload), currentDate.getTime());
    } catch (error) {
      refusal = refusalOf(error);
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
    }
  }
  throw refusal;
}

const Header = z.object({ alg: z.string(), kid: z.string().optional() });

/** Of the header only this is read, beside `crit`: `jku`, `x5u`, `jwk` and `x5c` name keys of a stranger's choice. */
function readHint(text: string): KeyHint {
  try {
    return Header.parse(decodeProtectedHeader(text));
  } catch {
    throw badToken("its header is malformed");
  }
}

/** [RFC 7519 §4.1.6] jose looks at `iat` only where an age is limited. */
function checkIssuedAt(payload: Payload, nowMs: number): Payload {
  if (payload.iat !== undefined && payload.iat * 1000 > nowMs + LEEWAY_MS) {
    throw badToken("its claim iat lies in the future; compare the clocks");
  }
  return payload;
}

/** In words of ours: jose's errors quote the header, and carry the payload. */
function refusalOf(error: unknown): HeadgateError {
  if (error instanceof HeadgateError) return error;
  if (error instanceof errors.JWTExpired) return badToken("it has expired; get a new one");
  if (error instanceof errors.JWTClaimValidationFailed) return badToken(claimFault(error));
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return badToken("its signature is wrong");
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return badToken("its algorithm is none of those of the key here");
  }
  if (error instanceof errors.JOSEError) return badToken("it is malformed, or asks for too much");
  throw error;
}

/** The claim is one of those that were asked for above: `exp`, `nbf`, `iat`, `iss`, `aud`. */
function claimFault({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (reason === "missing") return `its claim ${claim} is missing`;
  if (reason === "invalid") return `its claim ${claim} is malformed`;
  if (claim === "nbf") return "its claim nbf lies in the future; compare the clocks";
  return `its claim ${claim} is not the one that is needed here`;
}
