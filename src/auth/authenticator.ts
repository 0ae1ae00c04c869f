import { HeadgateError } from "../errors.ts";
import { type AnonymousSettings, createAnonymousAuthenticator } from "./anonymous.ts";
import { JwtAuthenticator, type JwtSettings } from "./jwt.ts";
import type { ExpiredTokens } from "./expired-tokens.ts";
import { RemoteKeys } from "./jwks.ts";
import { type Keys, publicKey, secretKey } from "./keys.ts";
import type { Authenticator } from "./principal.ts";

/** AUTH, and what belongs to it. */
export type AuthenticatorOptions =
  | ({ readonly mode: "none" } & AnonymousSettings)
  | ({ readonly mode: "jwt" } & JwtSettings);

/** @throws HeadgateError `configuration` for a key that cannot be used; its message does not hold the key. */
export function createAuthenticator(
  options: AuthenticatorOptions,
  expired?: ExpiredTokens,
): Authenticator {
  return options.mode === "none"
    ? createAnonymousAuthenticator(options)
    : new JwtAuthenticator(options, keysOf(options), { expired });
}

function keysOf({ secret, publicKey: pem, jwksUrl }: JwtSettings): Keys {
  if (jwksUrl !== undefined) return new RemoteKeys(jwksUrl);
  if (pem === undefined && secret === undefined) {
    throw new HeadgateError(
      "configuration",
      "AUTH=jwt needs one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL",
    );
  }
  const key = pem === undefined ? secretKey(secret ?? "") : publicKey(pem);
  return { find: () => [key] };
}
