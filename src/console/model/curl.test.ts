import { expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { runs } from "../../../test/support/effort.ts";
import {
  type CommandContext,
  fetchCommand,
  publishCommand,
  resumeCommand,
  shellQuote,
  subscribeCommand,
} from "./curl.ts";

const OPEN: CommandContext = {
  eventsUrl: "https://events.example/prefix/events",
  channels: [],
  needsToken: false,
};

/** What a shell hands to the program. */
function words(command: string, environment: Readonly<Record<string, string>> = {}): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }; ${command}`;
  const { stdout } = Bun.spawnSync(["sh", "-c", script], { env: environment });
  return stdout.toString().split("\0").slice(0, -1);
}

test("a shell gives a quoted word back as it was", () => {
  const texts = ["", "'", "''a'", "$(touch /tmp/x)", "`id`", "a\nb", "\\", '"', "!!", "é 😀"];
  const command = `curl ${texts.map(shellQuote).join(" ")}`;
  expect(words(command)).toEqual(texts);
  // A word with NUL cannot be given to a program at all.
  const word = string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
  assert(
    property(word, (text) => {
      expect(words(`curl ${shellQuote(text)}`)).toEqual([text]);
    }),
    { numRuns: runs(20) },
  );
});

test("the command that goes on after an event has its position", () => {
  expect(words(resumeCommand({ id: "1~orders~a~7" }, OPEN))).toEqual([
    "-N",
    "https://events.example/prefix/events?envelope=true",
    "-H",
    "Last-Event-ID: 1~orders~a~7",
  ]);
});

test("the command that fetches an event names its place, and the channels that were joined", () => {
  const place = { topic: "or'ders", partition: 2, offset: 9_007_199_254_740 };
  expect(words(fetchCommand(place, { ...OPEN, channels: ["a b", "c,d"] }))).toEqual([
    "https://events.example/prefix/events/or'ders/2/9007199254740?channels=a%20b,c%2Cd",
  ]);
});

test("a token is left to the shell: a placeholder stands for it", () => {
  const context = { ...OPEN, needsToken: true };
  const event = { topic: "orders", type: "it's", data: { hello: "world" } };
  for (const command of [
    subscribeCommand(context),
    publishCommand(event, context),
    fetchCommand({ topic: "orders", partition: 0, offset: 1 }, context),
    resumeCommand({ id: "1~orders~a~7" }, context),
  ]) {
    expect(words(command, { TOKEN: "abc" })).toContain("Authorization: Bearer abc");
    expect(command).toInclude("$TOKEN");
  }
  expect(words(publishCommand(event, context))).toContain(JSON.stringify(event));
});
