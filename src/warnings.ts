import type { Config } from "./config.ts";
import { isLoopbackHost } from "./http/loopback.ts";

/** [RFC 7518 §3.2] A key for HS256 has at least as many bits as the hash. */
const MIN_SECRET_BYTES = 32;

/** What is allowed, and yet seldom meant: said at each start. */
export function warningsOf({ server, who }: Config): string[] {
  const { jwt, allowAnonymousPublish, allowAnonymousUsers } = who;
  const isAnonymous = allowAnonymousPublish || allowAnonymousUsers;
  const warnings: string[] = [];
  if (!jwt && !isLoopbackHost(server.host)) {
    warnings.push("AUTH=none, and not on loopback: everybody who can reach this port can read");
    if (isAnonymous) warnings.push("anonymous publishing or naming is on");
  }
  if (jwt && isAnonymous) {
    warnings.push("ALLOW_ANONYMOUS_PUBLISH and ALLOW_ANONYMOUS_USERS do nothing with AUTH=jwt");
  }
  if (jwt?.secret !== undefined && Buffer.byteLength(jwt.secret) < MIN_SECRET_BYTES) {
    warnings.push(`JWT_SECRET has less than ${MIN_SECRET_BYTES} bytes: it may be guessed`);
  }
  return warnings;
}
