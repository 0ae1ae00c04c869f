import { z } from "zod";

/** How far the log is counted, and what belongs to no step: stored with the steps that follow from it. */
export interface SavedPosition {
  /** All entries up to this one are counted. */
  readonly seq: number;
  /** When the last of them arrived, in milliseconds since 1970. */
  readonly arrivedMs: number;
  /** From when on everything is counted, in milliseconds since 1970. */
  readonly sinceMs: number;
  readonly late: number;
  readonly future: number;
}

/** The name that it is stored by. */
export const POSITION = "position";

const STORED = z.object({
  /** Raised when the stored steps change: what another version stored is counted again. */
  format: z.literal(1),
  seq: z.int().nonnegative(),
  arrivedMs: z.number(),
  sinceMs: z.number(),
  late: z.int().nonnegative(),
  future: z.int().nonnegative(),
});

export function formatPosition(position: SavedPosition): string {
  return JSON.stringify({ format: 1, ...position });
}

/** @throws Error for what `formatPosition` cannot have made. */
export function parsePosition(text: string): SavedPosition {
  return STORED.parse(JSON.parse(text));
}
