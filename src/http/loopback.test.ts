import { expect, test } from "bun:test";
import { checkHost, isLocal, isLoopbackHost } from "./loopback.ts";

test.each([
  ["localhost"],
  ["LOCALHOST"],
  ["app.localhost"],
  ["127.0.0.1"],
  ["127.1.2.3"],
  ["[::1]"],
  ["::1"],
  ["::ffff:127.0.0.1"],
])("%s is loopback", (host) => {
  expect(isLoopbackHost(host)).toBe(true);
});

test.each([
  ["127.0.0.1.evil.example"],
  ["localhost.evil.example"],
  ["evillocalhost"],
  ["0.0.0.0"],
  ["10.0.0.1"],
  ["127.1"],
  [""],
])("%j is not loopback", (host) => {
  expect(isLoopbackHost(host)).toBe(false);
});

test("a request is local only where bind, peer and Host are, and no proxy is seen", () => {
  const local = (
    headers: Record<string, string>,
    peer = "127.0.0.1",
    bindHost = "127.0.0.1",
  ): boolean =>
    isLocal({ bindHost, peer, headers: new Headers({ host: "localhost:3000", ...headers }) });
  expect(local({})).toBe(true);
  expect(local({}, "::1", "::1")).toBe(true);
  expect(local({}, "10.0.0.1")).toBe(false);
  expect(local({}, "127.0.0.1", "0.0.0.0")).toBe(false);
  expect(local({ host: "evil.example" })).toBe(false);
  for (const name of ["forwarded", "via", "x-forwarded-for", "X-Forwarded-Anything", "x-real-ip"]) {
    expect(local({ [name]: "" })).toBe(false);
  }
});

test("C13 G8 a Host that is neither loopback nor allowed is refused on loopback; none at all is no browser's", () => {
  const check =
    (host: string | undefined, bindHost: string, allowed: string[] = []) =>
    () => {
      checkHost({ bindHost, headers: new Headers(host === undefined ? {} : { host }) }, allowed);
    };
  expect(check("attacker.example", "127.0.0.1")).toThrow();
  expect(check("localhost, attacker.example", "127.0.0.1")).toThrow();
  expect(check("events.example:443", "127.0.0.1", ["events.example"])).not.toThrow();
  expect(check("EVENTS.example", "127.0.0.1", ["events.example"])).not.toThrow();
  expect(check("anything.example", "0.0.0.0")).not.toThrow();
  expect(check("anything.example", "0.0.0.0", ["events.example"])).toThrow();
  expect(check("[::1]:3000", "127.0.0.1")).not.toThrow();
  expect(check(undefined, "127.0.0.1")).not.toThrow();
});
