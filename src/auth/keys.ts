import { createPublicKey, type KeyObject } from "node:crypto";
import { HeadgateError } from "../errors.ts";

/**
 * A key, with the algorithms that fit it. They follow from the key and never from a token: else a
 * token could have a public key, which anybody knows, used as the secret of an HMAC.
 */
export interface VerificationKey {
  readonly key: KeyObject | Uint8Array;
  readonly algorithms: readonly string[];
}

/** What a token says of the key that signed it. Not verified: it chooses among our own keys, and no more. */
export interface KeyHint {
  readonly alg: string;
  readonly kid?: string | undefined;
}

/** The keys that are trusted. */
export interface Keys {
  /**
   * Those that may have signed a token: nearly always one.
   * @throws HeadgateError `not-ready` where that cannot be known now.
   */
  find(hint: KeyHint): readonly VerificationKey[] | Promise<readonly VerificationKey[]>;
}

// RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used".
const MIN_RSA_BITS = 2048;

const HMAC = ["HS256", "HS384", "HS512"];
const RSA = ["RS256", "RS384", "RS512"];
// RFC 9864 renames EdDSA with this curve; both names mean one algorithm.
const ED25519 = ["EdDSA", "Ed25519"];
/** [RFC 7518 §3.4] One hash for each curve, by OpenSSL's name. */
const ECDSA: ReadonlyMap<string, string> = new Map([
  ["prime256v1", "ES256"],
  ["secp384r1", "ES384"],
  ["secp521r1", "ES512"],
]);

/** @throws HeadgateError `configuration` for what cannot be a secret: a PEM is one that others know. */
export function secretKey(secret: string): VerificationKey {
  if (secret === "") {
    throw new HeadgateError("configuration", "JWT_SECRET is empty; anybody could sign with it");
  }
  if (secret.includes("-----BEGIN ")) {
    throw new HeadgateError(
      "configuration",
      "JWT_SECRET holds a PEM; a public key goes into JWT_PUBLIC_KEY",
    );
  }
  return { key: new TextEncoder().encode(secret), algorithms: HMAC };
}

/**
 * Reads a PEM: SubjectPublicKeyInfo, or an X.509 certificate, whose dates and issuer do not count.
 * Of a chain, the first certificate.
 * @throws HeadgateError `configuration`, without a character of the PEM.
 */
export function publicKey(pem: string): VerificationKey {
  // Node would derive the public key from it, and nobody would learn where the private one lies.
  if (pem.includes("PRIVATE KEY-----")) {
    throw unusable("holds a private key; give the public key that belongs to it, and only that");
  }
  const key = parsePem(pem);
  if (!key) {
    throw unusable("is no usable PEM of a public key (BEGIN PUBLIC KEY) or a certificate");
  }
  const algorithms = algorithmsOf(key);
  if (algorithms.length > 0) return { key, algorithms };
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (key.asymmetricKeyType === "rsa" && bits !== undefined) {
    throw unusable(`is an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are needed`);
  }
  throw unusable("is of a kind that signs no tokens; use RSA, P-256, P-384, P-521 or Ed25519");
}

/** The algorithms that fit a public key; none where it is too weak, or of a kind that is not known here. */
export function algorithmsOf(key: KeyObject): readonly string[] {
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa") return modulusLength < MIN_RSA_BITS ? [] : RSA;
  if (key.asymmetricKeyType === "ed25519") return ED25519;
  const ecdsa = key.asymmetricKeyType === "ec" ? ECDSA.get(namedCurve) : undefined;
  return ecdsa === undefined ? [] : [ecdsa];
}

function parsePem(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem);
  } catch {
    // OpenSSL's words name nothing that helps, and may quote the input.
    return undefined;
  }
}

function unusable(reason: string): HeadgateError {
  return new HeadgateError("configuration", `JWT_PUBLIC_KEY ${reason}`);
}
