import { describe, expect, test } from "bun:test";
import { createLogger, type LogLevel } from "../logger.ts";
import { requestIdOf } from "./request-id.ts";
import { RequestLog } from "./request-log.ts";

function capture(level: LogLevel, nowMs: () => number = () => 0) {
  const lines: string[] = [];
  const log = new RequestLog(createLogger(level, { write: (line) => lines.push(line) }), nowMs);
  return { log, lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("of failures of one kind one a second is logged, and the next one tells of the others", () => {
  let nowMs = 0;
  const { log, lines } = capture("info", () => nowMs);
  for (let i = 0; i < 500; i += 1) log.failed(`r${i}`, "publish-timeout", undefined);
  log.failed("r500", "internal", new Error("boom"));
  nowMs = 1000;
  log.failed("r501", "publish-timeout", undefined);
  expect(lines().map(({ requestId, code, unlogged }) => [requestId, code, unlogged])).toEqual([
    ["r0", "publish-timeout", 0],
    ["r500", "internal", 0],
    ["r501", "publish-timeout", 499],
  ]);
});

describe("each request", () => {
  const answer = { requestId: "r", method: "GET", status: 200, sinceMs: -12 };

  test("is a line at debug, with its path and without its query", () => {
    const { log, lines } = capture("debug");
    log.answered({ ...answer, url: "http://127.0.0.1:3000/events?token=secret#x" });
    log.answered({ ...answer, url: "/events?token=secret" });
    const line = { requestId: "r", method: "GET", path: '"/events"', status: 200, ms: 12 };
    expect(lines()).toMatchObject([line, line]);
    expect(JSON.stringify(lines())).not.toContain("secret");
  });

  test("is no line at info, nor is the end of a stream", () => {
    const { log, lines } = capture("info");
    log.answered({ ...answer, url: "/" });
    log.streamEnded("r", "client");
    expect(lines()).toEqual([]);
  });
});

describe("a request's id", () => {
  const idOf = (given?: string): string =>
    requestIdOf(
      new Request("http://x", given === undefined ? {} : { headers: { "X-Request-Id": given } }),
    );

  test("is the one that it came with", () => {
    expect(idOf("0f9c2d1e-7a_B")).toBe("0f9c2d1e-7a_B");
  });

  test.each([undefined, "", "a b", "x".repeat(65), "a.b.c", '"}', "ä"])(
    "is a new one instead of %j",
    (given) => {
      const id = idOf(given);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(idOf(given)).not.toBe(id);
    },
  );
});
