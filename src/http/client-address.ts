import ipaddr from "ipaddr.js";
import type { Cidr } from "../cidr.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

export interface AddressEvidence {
  /** The peer's address, as the socket has it; undefined for a socket without one, or one that is gone. */
  readonly peer: string | undefined;
  readonly headers: Headers;
  /** TRUSTED_PROXIES: whose X-Forwarded-For is believed. */
  readonly trusted: readonly Cidr[];
}

/** What peers without an address count as, all of them together. */
const UNKNOWN_ADDRESS = "unknown";

/**
 * How many addresses of X-Forwarded-For are looked at. Chains of proxies have two or three; a header
 * of 16 KB has a thousand, and reading all of them for each request would be a stranger's to ask.
 */
const MAX_HOPS = 20;

/** The longest address: IPv6 with an IPv4 tail (45 characters), brackets and a port. */
const MAX_ADDRESS_LENGTH = 53;

/**
 * The address that limits count by, as a text: IPv4 as it is, IPv6 as its /64
 * (`2001:db8:1:2::/64`), since whoever has one address of those has them all.
 *
 * The peer's own, or, where the peer is a trusted proxy, the last one of X-Forwarded-For that is not
 * a trusted proxy's: each proxy adds at the end whom it talked to. What is before that the client
 * may have written itself, and is never read. What is no address ends the walk.
 */
export function clientAddress({ peer, headers, trusted }: AddressEvidence): string {
  if (peer === undefined) return UNKNOWN_ADDRESS;
  const text = withoutMapping(peer);
  if (trusted.length === 0 && !text.includes(":")) return text;
  const address = parseAddress(text);
  if (!address) return UNKNOWN_ADDRESS;
  return countedAs(forwardedAddress(address, headers, trusted));
}

/** Linux shows IPv4 peers of a socket that listens on `::` as `::ffff:192.0.2.1` [RFC 4291 §2.5.5.2]. */
function withoutMapping(peer: string): string {
  return peer.startsWith("::ffff:") && peer.includes(".") ? peer.slice("::ffff:".length) : peer;
}

function forwardedAddress(peer: Address, headers: Headers, trusted: readonly Cidr[]): Address {
  // Several of these headers come as one, joined by commas.
  const header = headers.get("x-forwarded-for") ?? "";
  let last = peer;
  let end = header.length;
  for (let hop = 0; hop < MAX_HOPS && end > 0 && isTrusted(last, trusted); hop += 1) {
    const start = header.lastIndexOf(",", end - 1) + 1;
    const address = parseAddress(header.slice(start, end).trim());
    if (!address) return last;
    last = address;
    end = start - 1;
  }
  return last;
}

function isTrusted(address: Address, trusted: readonly Cidr[]): boolean {
  const kind = address.kind();
  return trusted.some(([network, bits]) => network.kind() === kind && address.match(network, bits));
}

/** Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`. */
function parseAddress(text: string): Address | undefined {
  if (text.length > MAX_ADDRESS_LENGTH) return undefined;
  const [, v6 = text, v4] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(text) ?? [];
  if (v4 !== undefined) {
    return ipaddr.IPv4.isValidFourPartDecimal(v4) ? ipaddr.IPv4.parse(v4) : undefined;
  }
  return ipaddr.IPv6.isValid(v6) ? ipaddr.process(v6) : undefined;
}

function countedAs(address: Address): string {
  if (address instanceof ipaddr.IPv4) return address.toString();
  const network = new ipaddr.IPv6([...address.parts.slice(0, 4), 0, 0, 0, 0]);
  return `${network.toRFC5952String()}/64`;
}
