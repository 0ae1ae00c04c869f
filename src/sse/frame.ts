import { envelopeOf } from "./envelope.ts";
import type { Event } from "./event.ts";

const LF = 10;
const CR = 13;

/**
 * Everything of an event's frame but its `id:` line, which differs from view to view:
 * `event:` (where it is not `message`), `data:` lines, and the empty line that dispatches it.
 *
 * [WHATWG HTML §9.2.5] event = *( comment / field ) end-of-line. Lines end with LF, one space after
 * the colon; a value's CRLF, LF and CR each end a line.
 */
export function encodeBody(event: Event, { envelope }: { envelope: boolean }): Uint8Array {
  const { entry } = event;
  if (entry.kind === "skipped") {
    const { topic, partition, offset, reason } = entry;
    return encodeText("skipped", JSON.stringify({ topic, partition, offset, reason }));
  }
  const type = event.type ?? "message";
  if (envelope) return encodeText(type, envelopeOf(event));
  if (entry.value === null) {
    return encodeText(type, event.key === undefined ? "null" : JSON.stringify(event.key));
  }
  if (!event.isText) return encodeText(type, Buffer.from(entry.value).toString("base64"));
  if (!entry.value.includes(LF) && !entry.value.includes(CR)) {
    return encodeLine(type, entry.value);
  }
  return encodeText(type, Buffer.from(entry.value).toString());
}

/** A system event's frame. `id` is left out where the subscriber's position is not known. */
export function systemFrame(event: string, data: string, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\n${dataLines(data)}\n`;
}

/** `retry:` on its own: the reconnection time in milliseconds. */
export function retryFrame(retryMs: number): string {
  return `retry: ${Math.round(retryMs)}\n\n`;
}

const DATA = Buffer.from("data: ");

/** The common case, without a detour through text: a value of one line. */
function encodeLine(type: string, value: Uint8Array): Uint8Array {
  const head = type === "message" ? DATA : Buffer.from(`${eventLine(type)}data: `);
  const body = new Uint8Array(head.byteLength + value.byteLength + 2);
  body.set(head);
  body.set(value, head.byteLength);
  body[body.byteLength - 2] = LF;
  body[body.byteLength - 1] = LF;
  return body;
}

function encodeText(type: string, text: string): Uint8Array {
  return Buffer.from(`${eventLine(type)}${dataLines(text)}\n`);
}

function eventLine(type: string): string {
  return type === "message" ? "" : `event: ${type}\n`;
}

function dataLines(text: string): string {
  return `data: ${text.replaceAll(/\r\n|\n|\r/g, "\ndata: ")}\n`;
}
