import { type DestinationStream, pino } from "pino";

export type Logger = pino.Logger;

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** A warning or an error, as often as it was written. */
export interface TroubleLine {
  readonly level: "warn" | "error" | "fatal";
  /** The line's message: fixed texts, without values. */
  readonly message: string;
  /** When it was last written, in milliseconds since 1970. */
  readonly timestamp: number;
  readonly count: number;
}

/** Different messages that are remembered. There are fewer in this project; a library's may vary. */
const MAX_TROUBLES = 50;

const troubles = new WeakMap<Logger, Map<string, TroubleLine>>();

/**
 * JSON lines on stdout, for people where that is a terminal; written as they are made: transports
 * run in worker threads, which do not survive `bun build --compile`, and would lose the last lines
 * of a crash.
 */
export function createLogger(level: LogLevel, destination: DestinationStream = stdout()): Logger {
  const lines = new Map<string, TroubleLine>();
  const logger = pino(
    {
      level,
      base: null,
      hooks: {
        logMethod(args, method, levelNumber) {
          const [first, second] = args;
          const message = typeof first === "string" ? first : second;
          if (typeof message === "string") note(lines, levelNumber, message);
          method.apply(this, args);
        },
      },
    },
    destination,
  );
  troubles.set(logger, lines);
  return logger;
}

/** The last warnings and errors that were written to a logger of `createLogger` and its children, newest first; none of others. */
export function recentTroubles(logger: Logger): readonly TroubleLine[] {
  return [...(troubles.get(logger)?.values() ?? [])].toReversed();
}

function note(lines: Map<string, TroubleLine>, levelNumber: number, message: string): void {
  const level = pino.levels.labels[levelNumber];
  if (level !== "warn" && level !== "error" && level !== "fatal") return;
  const known = lines.get(message);
  // Put in again at the end: the newest is the last.
  lines.delete(message);
  lines.set(message, { level, message, timestamp: Date.now(), count: (known?.count ?? 0) + 1 });
  const [oldest] = lines.keys();
  if (lines.size > MAX_TROUBLES && oldest !== undefined) lines.delete(oldest);
}

function stdout(): DestinationStream {
  const out = pino.destination({ fd: 1, sync: true });
  if (!process.stdout.isTTY) return out;
  // Loaded where somebody looks: it takes 50 ms.
  const { prettyFactory } = require("pino-pretty") as typeof import("pino-pretty");
  const pretty = prettyFactory({
    colorize: true,
    singleLine: true,
    translateTime: "SYS:HH:MM:ss.l",
  });
  return {
    write(line) {
      out.write(pretty(line));
    },
  };
}
