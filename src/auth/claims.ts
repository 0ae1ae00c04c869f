import { z } from "zod";
import type { Principal } from "./principal.ts";

/** As in the parameter `topics`: a `*` means a prefix where it stands at the end, and itself elsewhere. */
const Patterns = z.array(z.string().min(1, "expected no empty pattern")).readonly();

const NAMED = {
  subscribe: Patterns.optional(),
  publish: Patterns.optional(),
  channels: Patterns.optional(),
  client: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, "expected 1 to 64 of [A-Za-z0-9._-]")
    .optional(),
  status: z.boolean().optional(),
};

/**
 * What JWT_DEFAULT_CLAIMS grants to every token (protocol.md §7). An unknown name is a mistake of
 * ours, and is refused.
 */
export const Claims = z.strictObject(NAMED).readonly();
export type Claims = z.infer<typeof Claims>;

/** The claim `headgate` of a token. An unknown name may be for a later version, and grants nothing. */
export const TokenClaims = z.object(NAMED).readonly();

/** What a principal owes to its claims. */
type Granted = Pick<Principal, "subscribe" | "publish" | "channels" | "clientId" | "status">;

/** What the default claims and a token's own grant together. Defaults widen; they never narrow. */
export function grantedBy(defaults: Claims, own: Claims): Granted {
  return {
    subscribe: union(defaults.subscribe, own.subscribe),
    publish: union(defaults.publish, own.publish),
    channels: union(defaults.channels, own.channels),
    clientId: own.client ?? defaults.client,
    status: own.status === true || defaults.status === true,
  };
}

function union(some: readonly string[] = [], others: readonly string[] = []): readonly string[] {
  return [...new Set([...some, ...others])];
}
