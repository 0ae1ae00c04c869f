import { pino } from "pino";

export type Logger = pino.Logger;

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/**
 * JSON lines on stdout, written as they are made: transports run in worker threads, which do not
 * survive `bun build --compile`, and would lose the last lines of a crash.
 */
export function createLogger(level: LogLevel): Logger {
  return pino({ level, base: null }, pino.destination({ fd: 1, sync: true }));
}
