import { describe, expect, test } from "bun:test";
import { createLogger, recentTroubles } from "./logger.ts";

function capture(level: Parameters<typeof createLogger>[0] = "info") {
  const lines: string[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(line) });
  return { logger, lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe("the logger", () => {
  test("writes one JSON object a line, with its children's fields", () => {
    const { logger, lines } = capture();
    logger.child({ part: "kafka" }).info({ topic: "events" }, "topic was made");
    expect(lines()).toEqual([
      {
        level: 30,
        time: expect.any(Number),
        part: "kafka",
        topic: "events",
        msg: "topic was made",
      },
    ]);
  });

  test("writes nothing below its level, and nothing at all when silent", () => {
    const { logger, lines } = capture("warn");
    logger.info("no");
    logger.warn("yes");
    expect(lines()).toHaveLength(1);
    const silent = capture("silent");
    silent.logger.fatal("no");
    expect(silent.lines()).toEqual([]);
  });

  test("remembers warnings and errors by their message, newest first, and not their fields", () => {
    const { logger } = capture();
    logger.info("not this");
    logger.warn({ error: "a" }, "publisher lost kafka");
    logger.error("request failed");
    logger.child({ part: "kafka" }).warn({ error: "b" }, "publisher lost kafka");
    const timestamp = expect.any(Number);
    expect(recentTroubles(logger)).toEqual([
      { level: "warn", message: "publisher lost kafka", count: 2, timestamp },
      { level: "error", message: "request failed", count: 1, timestamp },
    ]);
  });

  test("remembers the newest fifty messages, however many there are", () => {
    const { logger } = capture();
    for (let i = 0; i < 1000; i++) logger.warn(`message ${i}`);
    const messages = recentTroubles(logger).map(({ message }) => message);
    expect(messages).toEqual(Array.from({ length: 50 }, (_, i) => `message ${999 - i}`));
  });

  test("is for people where it writes to a terminal, without a thread of its own", async () => {
    const code = `const { createLogger } = await import("./src/logger.ts");
      createLogger("info").child({ part: "kafka" }).info({ topic: "events" }, "topic was made");`;
    // util-linux's script gives the process a terminal.
    const command = `${process.execPath} -e '${code.replaceAll("\n", " ")}'`;
    const child = Bun.spawn(["script", "-qec", command, "/dev/null"], {
      cwd: new URL("..", import.meta.url).pathname,
      stdin: "ignore",
      stdout: "pipe",
      env: { ...process.env, TERM: "xterm" },
    });
    const text = await new Response(child.stdout).text();
    expect(text).toContain("INFO");
    expect(text).toContain("topic was made");
    expect(text).toContain('"topic":"events"');
    expect(text).not.toContain('"msg"');
  });
});
