import type { Event } from "./event.ts";
import { encodeBody, retryFrame, systemFrame } from "./frame.ts";
import { lineRest, lineStart, systemLine } from "./json-line.ts";

/**
 * How a stream is written: Server-Sent Events with the records' values or with envelopes as data,
 * or one JSON object a line [https://github.com/ndjson/ndjson-spec].
 */
export type Encoding = "plain" | "envelope" | "ndjson";

/** What comes before `encodeEvent`'s bytes: the position after the event, in ASCII. It differs from view to view. */
export function idText(encoding: Encoding, id: string): string {
  return encoding === "ndjson" ? lineStart(id) : `id: ${id}\n`;
}

/** The same as bytes. */
export function encodeId(encoding: Encoding, id: string): Uint8Array {
  return Buffer.from(idText(encoding, id));
}

/** The most that `encodeId` adds to an id. */
export const ID_OVERHEAD_BYTES = 8;

/** Everything of an event but its id. */
export function encodeEvent(encoding: Encoding, event: Event): Uint8Array {
  if (encoding === "ndjson") return Buffer.from(lineRest(event));
  return encodeBody(event, { envelope: encoding === "envelope" });
}

/** A system event; `data` is JSON or empty, `id` left out where the position is not known. */
export function encodeSystem(
  encoding: Encoding,
  event: string,
  data: string,
  id?: string,
): Uint8Array {
  return Buffer.from(
    encoding === "ndjson" ? systemLine(event, data, id) : systemFrame(event, data, id),
  );
}

/** The reconnection time, where the encoding has a word for it. */
export function encodeRetry(encoding: Encoding, retryMs: number): Uint8Array {
  return Buffer.from(encoding === "ndjson" ? "" : retryFrame(retryMs));
}
