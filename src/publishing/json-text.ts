import { HeadgateError } from "../errors.ts";

/**
 * Parses JSON and keeps numbers as they are written: 9007199254740993 and 1.0 stay what they are.
 * A number comes as an object that only `toJsonText` and `numberText` understand. What bounds the
 * work is the length of the text; nesting is bounded by the stack, which takes a few thousand levels.
 * @throws HeadgateError `invalid-body` with the pointer `at`; `what` is what the message calls the text.
 */
export function parseJson(text: string, at = "", what = "The body"): unknown {
  try {
    return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
      typeof value === "number" && context?.source !== undefined ? rawJson(context.source) : value,
    );
  } catch (error) {
    // The parser quotes words of the text, which is a payload: no message holds those.
    const reason = reasonOf(error).replaceAll(/"[^"]*(?:"|$)/g, "…");
    throw new HeadgateError("invalid-body", `${what} is not JSON (${reason})`, { pointer: at });
  }
}

/**
 * Compact JSON, with the numbers of `parseJson` as they were written.
 * @throws HeadgateError `invalid-body` with the pointer `at`, for a value that is not JSON or is nested too deeply.
 */
export function toJsonText(value: unknown, at: string): string {
  let text: string | undefined;
  let reason = "it is a function, a symbol or undefined";
  try {
    // The library's type leaves out what it says of values that are no JSON.
    text = JSON.stringify(value) as string | undefined;
  } catch (error) {
    // A cycle, a bigint, a `toJSON` that throws, or too many levels.
    reason = reasonOf(error);
  }
  if (text !== undefined) return text;
  throw new HeadgateError("invalid-body", `The data cannot be written as JSON (${reason})`, {
    pointer: at,
  });
}

/** A number as it was written, if the value is one; JavaScript's own numbers are taken too. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return isRawJson(value) ? value.rawJSON : undefined;
}

function isRawJson(value: unknown): value is { readonly rawJSON: string } {
  // The cast holds as below.
  return (JSON as unknown as { isRawJSON: (value: unknown) => boolean }).isRawJSON(value);
}

/** JSON.rawJSON [ECMA-262, JSON.parse source text access], which TypeScript's library does not know yet. */
function rawJson(source: string): unknown {
  // The cast holds on the oldest Bun that the start-up check lets through.
  return (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON(source);
}

function reasonOf(error: unknown): string {
  // The stack's end is the only RangeError that either direction knows.
  if (error instanceof RangeError) return "it is nested too deeply";
  return (error instanceof Error ? error.message : String(error)).slice(0, 100);
}
