import { describe, expect, test } from "bun:test";
import { continues, type HeldOptions, streamKey } from "./held-options.ts";

const BASE: HeldOptions = { url: "https://a.example", topics: ["orders"], token: () => "t" };

describe("a stream stays for options that are equal", () => {
  const equal: Record<string, HeldOptions> = {
    "other arrays and functions": { ...BASE, topics: ["orders"], token: () => "u" },
    "another order": { token: () => "t", topics: ["orders"], url: "https://a.example" },
    "undefined ones": { ...BASE, since: undefined, types: undefined },
    callbacks: { ...BASE, onEvent: () => undefined, onStatus: () => undefined },
    "where it begins": { ...BASE, lastEventId: "1~orders~a~1" },
  };
  test.each(Object.entries(equal))("%s", (_name, options) => {
    expect(streamKey(options)).toBe(streamKey(BASE));
  });
});

describe("another stream is opened for", () => {
  const other: Record<string, HeldOptions> = {
    "other topics": { ...BASE, topics: ["orders", "payments"] },
    "another server": { ...BASE, url: "https://b.example" },
    "a token's text": { ...BASE, token: "t" },
    "no token": { ...BASE, token: undefined },
    "an instant": { ...BASE, since: new Date(0) },
  };
  test.each(Object.entries(other))("%s", (_name, options) => {
    expect(streamKey(options)).not.toBe(streamKey(BASE));
  });

  test("another text of a token", () => {
    expect(streamKey({ token: "a" })).not.toBe(streamKey({ token: "b" }));
  });
});

describe("a stream goes on where the one before it was", () => {
  test("when topics or filters change", () => {
    expect(continues({ ...BASE, topics: ["orders", "payments"], types: ["a"] }, BASE)).toBe(true);
  });

  test("when it is the same, wherever it began", () => {
    expect(continues({ ...BASE, recent: 10 }, { ...BASE, recent: 10 })).toBe(true);
  });

  const elsewhere: Record<string, HeldOptions> = {
    "another server has other positions": { ...BASE, url: "https://b.example" },
    "events of the past are asked for": { ...BASE, since: "15m" },
    "the newest are asked for": { ...BASE, recent: 10 },
    "its path has the newest first": { ...BASE, path: "/stream" },
  };
  test.each(Object.entries(elsewhere))("not when %s", (_name, options) => {
    expect(continues(options, BASE)).toBe(false);
  });
});
