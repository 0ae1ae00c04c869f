import { HeadgateError, quote } from "../errors.ts";

/** What says that a request has come through a proxy: then the peer's address proves nothing. */
const PROXY_HEADERS = new Set([
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
]);

export interface RequestOrigin {
  /** Where the server listens. */
  readonly bindHost: string;
  /** The peer's address, as the socket has it. */
  readonly peer: string | undefined;
  readonly headers: Headers;
}

/** Whether a request certainly comes from this machine and was meant for it. */
export function isLocal({ bindHost, peer, headers }: RequestOrigin): boolean {
  if (!isLoopbackHost(bindHost) || peer === undefined || !isLoopbackHost(peer)) return false;
  for (const name of headers.keys()) {
    if (name.startsWith("x-forwarded-") || PROXY_HEADERS.has(name)) return false;
  }
  return isLoopbackHost(hostName(headers.get("host") ?? ""));
}

/**
 * Refuses a Host that is neither a loopback name nor allowed: DNS rebinding lets any web page reach
 * a server on loopback under the page's own name. Off loopback any name goes, unless a list is set.
 * Without a Host it is HTTP/1.0, and no browser's.
 */
export function checkHost(
  { bindHost, headers }: Omit<RequestOrigin, "peer">,
  allowedHosts: readonly string[],
): void {
  const header = headers.get("host");
  if (header === null) return;
  const host = hostName(header);
  if (isLoopbackHost(host) || allowedHosts.includes(host)) return;
  if (!isLoopbackHost(bindHost) && allowedHosts.length === 0) return;
  throw new HeadgateError("forbidden", `Host ${quote(host)} is not served here; see ALLOWED_HOSTS`);
}

/** `localhost`, names below it, 127.0.0.0/8 and ::1 [RFC 6761 §6.3, RFC 1122 §3.2.1.3]. */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/^::ffff:/, "");
  return (
    name === "localhost" ||
    name.endsWith(".localhost") ||
    name === "::1" ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  );
}

function hostName(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}
