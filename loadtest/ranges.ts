import type { NumberOption } from "./options.ts";

/** What the subscribers program can hold, in several processes; how much a server can hold it says itself. */
const MAX_SUBSCRIBERS = 200_000;

/** How many streams are opened. */
export function subscribers(absent: number): NumberOption {
  return { absent, least: 1, most: MAX_SUBSCRIBERS };
}

/** Events a second. */
export function rate(absent: number): NumberOption {
  return { absent, least: 1, most: 200_000 };
}

/** Padding of each event. */
export function bytes(absent: number): NumberOption {
  return { absent, least: 0, most: 200_000 };
}

/** Length of one part of a measurement. */
export function seconds(absent: number): NumberOption {
  return { absent, least: 0, most: 600 };
}

/** Each how many streams one is parsed whole. */
export function sample(absent: number): NumberOption {
  return { absent, least: 1, most: MAX_SUBSCRIBERS };
}

/**
 * The parts of a measurement: with all streams open the server is let settle for `warmup`, then
 * `seconds` are measured, then streams are read for `drain` without new events.
 */
export const lengths = {
  seconds: { absent: 10, least: 0.1, most: 600 },
  warmup: seconds(4),
  drain: seconds(2),
} as const;

/** The parts of a measurement, in seconds: see `lengths`. */
export type Lengths = Readonly<Record<keyof typeof lengths, number>>;
