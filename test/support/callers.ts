import { type LocalServer, type Settings, startLocalServer } from "./server.ts";
import { hmacToken, SECRET } from "./tokens.ts";

/** The claim `headgate`: what a token may do. */
export interface Grants {
  readonly subscribe?: readonly string[];
  readonly publish?: readonly string[];
  readonly channels?: readonly string[];
  readonly client?: string;
  readonly status?: boolean;
}

/** Everything. */
export const ALL: Grants = { subscribe: ["*"], publish: ["*"], channels: ["*"], status: true };

/** A server that asks for tokens, signed with SECRET unless the settings say otherwise. */
export function startJwtServer(settings: Settings = {}): Promise<LocalServer> {
  const key = "JWT_PUBLIC_KEY" in settings || "JWT_JWKS_URL" in settings ? {} : SECRET_KEY;
  return startLocalServer({ AUTH: "jwt", ...key, ...settings });
}

const SECRET_KEY: Settings = { JWT_SECRET: SECRET };

/** The header with a token of SECRET that grants this. Other claims: `sub` is "u1" unless they say otherwise. */
export function bearer(
  headgate: Grants = {},
  claims: Readonly<Record<string, unknown>> = {},
): { readonly Authorization: string } {
  return { Authorization: `Bearer ${hmacToken({ headgate, ...claims })}` };
}

/** The status of a GET with these headers. */
export async function statusOf(url: string, headers: Settings = {}): Promise<number> {
  const response = await fetch(url, { headers: { Accept: "*/*", ...headers } });
  // A stream would live on.
  await response.body?.cancel();
  return response.status;
}
