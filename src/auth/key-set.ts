import { createPublicKey } from "node:crypto";
import { z } from "zod";
import { algorithmsOf, type VerificationKey } from "./keys.ts";

/** A key of a JWK Set. */
export interface SetKey extends VerificationKey {
  readonly kid: string | undefined;
}

/** Most bytes of a JWK Set that are read: an endpoint that was taken over cannot fill our memory. */
const MAX_BYTES = 1024 ** 2;

/** Most keys of a JWK Set: bounds the search for each token, and the time that an import takes. */
const MAX_KEYS = 100;

const JwkSet = z.object({ keys: z.array(z.unknown()) });

/**
 * [RFC 7518 §6] The public part of a key for signatures. `oct` is not among them: a secret that
 * stands in a public place is none.
 */
const PublicPart = z.discriminatedUnion("kty", [
  z.object({ kty: z.literal("RSA"), n: z.string(), e: z.string() }),
  z.object({ kty: z.literal("EC"), crv: z.string(), x: z.string(), y: z.string() }),
  z.object({ kty: z.literal("OKP"), crv: z.string(), x: z.string() }),
]);

/** [RFC 7517 §4] What a key is for. `d` is of a private key: whoever publishes it has lost the key. */
const Purpose = z.object({
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.literal("sig").optional(),
  key_ops: z
    .array(z.string())
    .refine((operations) => operations.includes("verify"))
    .optional(),
  d: z.undefined().optional(),
});

/**
 * Fetches a JWK Set [RFC 7517 §5]. Keys that are of no use here are left out.
 * @throws Error for whatever is not an answer 200 with a whole JWK Set, in time.
 */
export async function fetchKeySet(url: URL, timeoutMs: number): Promise<readonly SetKey[]> {
  const response = await fetch(url, {
    // A redirect would let the endpoint choose whom we talk to: the cloud's metadata address, say.
    redirect: "manual",
    // Otherwise what is counted below would not be what has come.
    decompress: false,
    headers: {
      Accept: "application/jwk-set+json, application/json",
      "Accept-Encoding": "identity",
    },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`JWT_JWKS_URL answered ${response.status}; 200 is needed`);
  }
  return parseKeySet(await readText(response));
}

/** @throws Error for what is not a JWK Set. Its message holds nothing of the text. */
function parseKeySet(text: string): readonly SetKey[] {
  const set = JwkSet.safeParse(parseJson(text));
  if (!set.success) throw new Error("JWT_JWKS_URL did not answer with a JWK Set");
  const { keys } = set.data;
  if (keys.length > MAX_KEYS) {
    throw new Error(`JWT_JWKS_URL has ${keys.length} keys; at most ${MAX_KEYS} are allowed`);
  }
  return keys.flatMap((jwk) => parseJwk(jwk) ?? []);
}

/** Undefined for a key that is of no use here: other services may share the endpoint. */
function parseJwk(value: unknown): SetKey | undefined {
  const publicPart = PublicPart.safeParse(value);
  const purpose = Purpose.safeParse(value);
  if (!publicPart.success || !purpose.success) return undefined;
  const { kid, alg } = purpose.data;
  try {
    const key = createPublicKey({ key: publicPart.data, format: "jwk" });
    const algorithms = algorithmsOf(key).filter((one) => alg === undefined || one === alg);
    return algorithms.length > 0 ? { key, algorithms, kid } : undefined;
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop cancels the rest of the body.
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) {
      throw new Error(`JWT_JWKS_URL answered with more than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
