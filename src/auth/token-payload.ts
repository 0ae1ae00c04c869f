import { z } from "zod";
import { badToken } from "./bad-token.ts";
import { TokenClaims } from "./claims.ts";

const MAX_SUBJECT_LENGTH = 128;
const MAX_USERNAME_LENGTH = 128;

// [ECMA-262 §21.4.1.1] The last second that a date can be in. `1e308` is a finite number as well,
// and a token with that `exp` would never expire.
const NumericDate = z.number().max(8_640_000_000_000);

/** It stands in record headers and in logs. `\p{Cc}` is C0, DEL and C1. */
const Subject = z
  .string()
  .min(1)
  .max(MAX_SUBJECT_LENGTH)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text));

/** For people to read: one of another form is left out, and no reason to refuse a token. */
const Username = z.string().optional().catch(undefined);

/** What is read of a token beside `iss` and `aud`. */
const Payload = z.object({
  exp: NumericDate,
  nbf: NumericDate.optional(),
  iat: NumericDate.optional(),
  sub: Subject.optional(),
  preferred_username: Username,
  name: Username,
  headgate: TokenClaims.optional(),
});
export type Payload = z.infer<typeof Payload>;

/**
 * Reads the claims of a token whose signature is good.
 * @throws HeadgateError `unauthorized`, naming the claim that is malformed, without its value.
 */
export function parsePayload(value: unknown): Payload {
  const payload = Payload.safeParse(value);
  if (payload.success) return payload.data;
  // A path holds names that the schema knows and places in lists: nothing of the token's own.
  const claim = payload.error.issues[0]?.path.join(".");
  throw badToken(`its claim ${claim} is malformed`);
}

export function usernameOf(payload: Payload): string | undefined {
  const username = payload.preferred_username || payload.name || undefined;
  // The cut may split a character in two.
  return username?.slice(0, MAX_USERNAME_LENGTH).toWellFormed();
}
