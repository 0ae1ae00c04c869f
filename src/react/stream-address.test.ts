import { expect, test } from "bun:test";
import { streamUrl } from "../client/stream-url.ts";
import { splitAddress } from "./stream-address.ts";

test.each([
  "https://events.example/stream",
  "https://events.example/stream?topics=a,b%2Cc&since=15m",
  "http://127.0.0.1:3000/behind/proxy/events?types=order.*",
])("a stream's address stays as it is: %s", (address) => {
  expect(streamUrl(splitAddress(address))).toBe(address);
});

test.each(["https://ann:secret@events.example/stream", "https://events.example/stream#top"])(
  "what the client refuses is refused: %s",
  (address) => {
    expect(() => streamUrl(splitAddress(address))).toThrow(TypeError);
  },
);

test("what is no address is refused", () => {
  expect(() => splitAddress("no address")).toThrow(TypeError);
});
