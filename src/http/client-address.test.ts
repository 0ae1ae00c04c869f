import { expect, test } from "bun:test";
import { connect } from "node:net";
import fc from "fast-check";
import { type Cidr, parseCidr } from "../cidr.ts";
import { clientAddress } from "./client-address.ts";

const PROXIES = cidrs("10.0.0.0/8", "fd00::/8");

function cidrs(...texts: string[]): Cidr[] {
  return texts.map(parseCidr).filter((range) => range !== undefined);
}

function counted(peer: string | undefined, forwarded?: string, trusted = PROXIES): string {
  const headers = new Headers(forwarded === undefined ? {} : { "x-forwarded-for": forwarded });
  return clientAddress({ peer, headers, trusted });
}

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8::/64"],
  ["fe80::1%eth0", "fe80::/64"],
  ["::1", "::/64"],
])("the peer %s counts as %s, with trusted proxies or without", (peer, expected) => {
  expect(counted(peer, undefined, [])).toBe(expected);
  expect(counted(peer)).toBe(expected);
});

test("peers without an address count as one", () => {
  expect(counted(undefined)).toBe(counted(undefined, "192.0.2.1"));
  expect(counted("")).toBe(counted(undefined));
  expect(counted("", "", [])).not.toBe(counted("192.0.2.1"));
});

test("C16 nobody's X-Forwarded-For is believed but a trusted proxy's", () => {
  expect(counted("192.0.2.1", "198.51.100.7")).toBe("192.0.2.1");
  expect(counted("192.0.2.1", "198.51.100.7", [])).toBe("192.0.2.1");
  expect(counted("10.0.0.1", "198.51.100.7", [])).toBe("10.0.0.1");
  expect(counted("10.0.0.1", "198.51.100.7")).toBe("198.51.100.7");
  expect(counted("::ffff:10.0.0.1", "198.51.100.7")).toBe("198.51.100.7");
  expect(counted("fd00::1", "2001:db8:1:2::3")).toBe("2001:db8:1:2::/64");
});

test("C16 what a client writes before what the proxies add changes nothing", () => {
  const anything = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom("10.0.0.9", "unknown", "", "127.0.0.1", "fd00::9"),
  );
  const written = fc
    .array(anything, { maxLength: 30 })
    .map((items) => items.join(", ").replaceAll(/[^\x21-\x7e]+/g, " "));
  const proxies = fc.array(
    fc.constantFrom("10.0.0.1", "10.255.0.2:443", "[fd00::7]:80", "fd00::8"),
    {
      maxLength: 5,
    },
  );
  fc.assert(
    fc.property(written, fc.ipV4(), proxies, (claim, client, added) => {
      fc.pre(!client.startsWith("10."));
      const header = [claim, client, ...added].join(", ");
      expect(counted("10.0.0.1", header)).toBe(client);
    }),
  );
});

test.each([
  ["192.0.2.1:5678", "192.0.2.1"],
  ["[2001:db8:1:2::3]:80", "2001:db8:1:2::/64"],
  ["[2001:db8:1:2::3]", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::3", "2001:db8:1:2::/64"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
  ["  192.0.2.1\t", "192.0.2.1"],
])("a proxy may write its peer as %j", (forwarded, expected) => {
  expect(counted("10.0.0.1", forwarded)).toBe(expected);
});

test.each([
  [""],
  [","],
  ["unknown"],
  ["_hidden"],
  ["192.0.2"],
  ["192.0.2.256"],
  ["0300.0.2.1"],
  ["0xc0.0.2.1"],
  ["3221225985"],
  ["192.0.2.1:"],
  ["192.0.2.1:123456"],
  ["[192.0.2.1]:80"],
  ["[2001:db8::1"],
  ["2001:db8::1::2"],
  ['"192.0.2.1"'],
  ["for=192.0.2.1"],
  ["192.0.2.1 198.51.100.1"],
  ["fe80::1%zoneofanamethatisfartoolongforanynetworkinterface"],
])(
  "C16 at what is no address, such as %s, the walk ends with the proxy that passed it on",
  (item) => {
    expect(counted("10.0.0.1", `198.51.100.7, ${item}`)).toBe("10.0.0.1");
    expect(counted("10.0.0.1", `198.51.100.7, ${item}, 10.0.0.2`)).toBe("10.0.0.2");
  },
);

test("C16 where all are trusted proxies the first of them counts", () => {
  expect(counted("10.0.0.1")).toBe("10.0.0.1");
  expect(counted("10.0.0.1", "10.0.0.3, fd00:0:0:4::1, 10.0.0.2")).toBe("10.0.0.3");
});

test("C16 twenty addresses are looked at, and no more", () => {
  const hops = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.1.${i}`);
  expect(counted("10.0.0.1", ["192.0.2.1", ...hops(19)].join(", "))).toBe("192.0.2.1");
  expect(counted("10.0.0.1", ["192.0.2.1", ...hops(20)].join(", "))).toBe("10.0.1.0");
  expect(counted("10.0.0.1", ["192.0.2.1", "10.0.2.1", ...hops(20)].join(","))).toBe("10.0.1.0");
});

test("C16 several headers are read as one, in their order", async () => {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ headers }) => new Response(counted("10.0.0.1", headers.get("x-forwarded-for") ?? "")),
  });
  // A fetch would join them itself.
  const socket = connect(server.port ?? 0, "127.0.0.1");
  socket.write(
    [
      "GET / HTTP/1.1",
      "Host: localhost",
      "Connection: close",
      "X-Forwarded-For: 198.51.100.7",
      "X-Forwarded-For: 192.0.2.1, 10.0.0.2",
      "\r\n",
    ].join("\r\n"),
  );
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toEndWith("\r\n\r\n192.0.2.1");
});

test("a range of mapped addresses is one of IPv4", () => {
  const trusted = cidrs("::ffff:192.0.2.0/120");
  expect(counted("192.0.2.9", "198.51.100.7", trusted)).toBe("198.51.100.7");
  expect(counted("192.0.2.200", "198.51.100.7", trusted)).toBe("198.51.100.7");
  expect(counted("192.0.3.9", "198.51.100.7", trusted)).toBe("192.0.3.9");
});
