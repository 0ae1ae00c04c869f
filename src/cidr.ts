import ipaddr from "ipaddr.js";

/** A range of addresses: one of them, and how many of its bits count. */
export type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Reads `10.0.0.0/8`, `2001:db8::/32`; undefined where it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  // ipaddr.js reads IPv4 in other bases and with fewer parts too, and means something else:
  // 010.0.0.0/8 is 8.0.0.0/8.
  const isRange = ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text);
  if (!isRange) return undefined;
  const [address, bits] = ipaddr.parseCIDR(text);
  // Peers are compared as IPv4 where they are mapped.
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96
    ? [address.toIPv4Address(), bits - 96]
    : [address, bits];
}
