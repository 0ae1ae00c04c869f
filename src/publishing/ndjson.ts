import { HeadgateError } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import type { PublishContext } from "./event-rules.ts";
import { parseJson } from "./json-text.ts";
import { toRecord } from "./published-event.ts";

/** White space of JSON alone [RFC 8259 §2], so that nothing else passes for a blank line. */
const BLANK = /^[ \t\r]*$/;

/**
 * Reads newline-delimited JSON, one event a line, all checked before the first is given. Lines end
 * with LF or CRLF, blank ones are left out. Pointers count events, as in an array; messages name the line.
 * @throws HeadgateError as `toRecord` does, and `invalid-body` where there is no event at all.
 */
export function readNdjson(text: string, context: PublishContext): OutgoingRecord[] {
  const records: OutgoingRecord[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (BLANK.test(line)) continue;
    records.push(readLine(line, { number: i + 1, at: `/${records.length}` }, context));
  }
  if (records.length === 0) {
    throw new HeadgateError("invalid-body", "No line holds an event; send at least one", {
      pointer: "",
    });
  }
  return records;
}

function readLine(
  line: string,
  { number, at }: { number: number; at: string },
  context: PublishContext,
): OutgoingRecord {
  const event = parseJson(line, at, `Line ${number}`);
  try {
    return toRecord(event, at, context);
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    throw new HeadgateError(error.code, `Line ${number}: ${error.message}`, error.details);
  }
}
