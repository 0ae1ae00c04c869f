import { expect, test } from "bun:test";
import { StreamBench } from "../../test/support/stream-bench.ts";
import { settled } from "../../test/support/manual-clock.ts";
import { streamUrl } from "./stream-url.ts";

const url = "https://events.example";

test("a subscription becomes the parameters of its stream, in one order", () => {
  expect(streamUrl({ url })).toBe("https://events.example/events");
  expect(
    streamUrl({
      url,
      username: "n",
      userId: "u",
      clientId: "c",
      envelope: true,
      per: "key",
      recent: 5,
      channels: ["x", "y"],
      keys: ["k"],
      types: ["order.*"],
      topics: ["a", "b*"],
    }),
  ).toBe(
    "https://events.example/events?topics=a,b*&types=order.*&keys=k&channels=x,y&recent=5&per=key" +
      "&envelope=true&clientId=c&userId=u&username=n",
  );
  expect(streamUrl({ url, envelope: false, recent: 0, topics: undefined })).toEndWith(
    "/events?recent=0&envelope=false",
  );
});

test("whatever an item holds stays within it", () => {
  const keys = ["a,b", "c&d=e", "f+g h", "é漢😀", "%2C", "#x?", "", "\r\n"];
  const { search } = new URL(streamUrl({ url, keys }));
  const [, list = ""] = /^\?keys=([^&]*)$/.exec(search) ?? [];
  expect(list.split(",").map(decodeURIComponent)).toEqual(keys);
});

test("an instant is written as the server reads it", () => {
  const since = new Date("2026-01-02T03:04:05.678Z");
  expect(streamUrl({ url, since })).toEndWith("?since=2026-01-02T03%3A04%3A05.678Z");
  expect(streamUrl({ url, since: "15m" })).toEndWith("?since=15m");
  expect(() => streamUrl({ url, since: new Date("never") })).toThrow(RangeError);
});

test("a path may have a query of its own, and stays on the host however it is written", () => {
  expect(streamUrl({ url, path: "/stream/dashboard" })).toBe(`${url}/stream/dashboard`);
  expect(streamUrl({ url, path: "/stream?x=1", recent: 3 })).toBe(`${url}/stream?x=1&recent=3`);
  for (const path of ["stream", "//stream", "///stream"]) {
    expect(streamUrl({ url, path })).toBe(`${url}/stream`);
  }
  for (const path of ["@evil.example/x", ".evil.example", ":8080/x", "//evil.example/x"]) {
    expect(new URL(streamUrl({ url, path })).host).toBe("events.example");
  }
});

test("the server may be below a path", () => {
  for (const below of [
    "https://x.example/a/b",
    "https://x.example/a/b/",
    "https://x.example/a/b//",
  ]) {
    expect(streamUrl({ url: below })).toBe("https://x.example/a/b/events");
  }
  expect(streamUrl({ url: "http://[::1]:3000" })).toBe("http://[::1]:3000/events");
});

test("what is no address is refused, and not repeated", () => {
  for (const bad of [
    "events.example",
    "ftp://events.example",
    "https://user:secret@events.example",
    "https://events.example?token=secret",
    "https://events.example#secret",
    "",
    "/",
  ]) {
    const refusal = (): string => streamUrl({ url: bad });
    expect(refusal).toThrow(TypeError);
    expect(refusal).not.toThrow("secret");
  }
});

test("a stream without types of its own asks for those of its schemas, and its types win", async () => {
  const any = {
    "~standard": { version: 1, vendor: "t", validate: (value: unknown) => ({ value }) },
  };
  const schemas = { "a,b": any, c: any } as const;
  expect(new StreamBench({ schemas: schemas as never }).setup.url).toEndWith("?types=a%2Cb,c");
  const own = new StreamBench({ schemas: schemas as never, types: ["c", "d"] });
  await settled();
  expect(own.setup.url).toEndWith("?types=c,d");
  expect(own.setup.types).toEqual(["c", "d"]);
});
