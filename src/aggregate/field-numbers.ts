import type { Measure } from "./number-summary.ts";
import { bucketOf, MAX_MAGNITUDE } from "./quantile-sketch.ts";

/**
 * Values beyond this are not looked into, in bytes: against records whose JSON takes milliseconds
 * to parse, of which a stranger can send many.
 */
export const MAX_PARSED_BYTES = 64 << 10;

/** Takes a record's value apart: for each field in turn its number, where it has one. */
export type FieldReader = (value: Uint8Array | null) => readonly (Measure | undefined)[];

/** A reader of these paths: names with dots between them, a name of digits is an index of a list. */
export function fieldReader(fields: readonly string[]): FieldReader {
  const paths = fields.map((field) => field.split("."));
  const nothing: readonly undefined[] = fields.map(() => undefined);
  if (fields.length === 0) return () => nothing;
  return (value) => {
    if (value === null || value.byteLength > MAX_PARSED_BYTES || !canHoldMembers(value))
      return nothing;
    let parsed: unknown;
    try {
      parsed = JSON.parse(DECODER.decode(value));
    } catch {
      // Not UTF-8, or not JSON: any bytes may be a record's value. It is counted all the same.
      return nothing;
    }
    return paths.map((path) => measureOf(memberAt(parsed, path)));
  };
}

/** Whether it may be an object or a list in JSON: most other values need no parsing. */
function canHoldMembers(value: Uint8Array): boolean {
  let at = 0;
  while (isSpace(value[at])) at += 1;
  return value[at] === OBJECT || value[at] === LIST;
}

const DECODER = new TextDecoder("utf-8", { fatal: true });

const OBJECT = 0x7b;
const LIST = 0x5b;

/** RFC 8259 §2: space, tab, LF and CR. */
function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function memberAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const name of path) {
    if (typeof at !== "object" || at === null) return undefined;
    // A list's own length is no number of the event.
    if (Array.isArray(at) && !INDEX.test(name)) return undefined;
    if (!Object.hasOwn(at, name)) return undefined;
    // The cast holds: it is an object, whose own member of this name is of whatever type.
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

const INDEX = /^\d+$/;

function measureOf(value: unknown): Measure | undefined {
  // JSON can write numbers that are not finite once read: 1e999.
  if (typeof value !== "number" || Math.abs(value) > MAX_MAGNITUDE) return undefined;
  // -0 would be written as 0.
  return { value: value + 0, bucket: bucketOf(value) };
}
