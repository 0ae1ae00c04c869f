import { isUtf8 } from "node:buffer";
import type { RecordHeader } from "../log/entry.ts";
import type { Event } from "./event.ts";

/**
 * An event as one JSON object on one line, with kcat's keys. The payload's own text is used where
 * it is JSON, so that its numbers keep their digits. A record that cannot be shown says why.
 */
export function envelopeOf({ entry, isText }: Event): string {
  const parts = [
    `"topic":${JSON.stringify(entry.topic)}`,
    `"partition":${entry.partition}`,
    `"offset":${entry.offset}`,
    `"tstype":"${entry.timestampType}"`,
    `"ts":${entry.timestampMs}`,
    `"key":${textOrBase64(entry.key)}`,
    `"headers":${headersOf(entry.headers)}`,
  ];
  if (entry.reason !== undefined) parts.push('"payload":null', `"skipped":"${entry.reason}"`);
  else if (entry.value === null) parts.push('"payload":null');
  else if (isText) parts.push(`"payload":${jsonOf(Buffer.from(entry.value).toString())}`);
  else
    parts.push(`"payload":"${Buffer.from(entry.value).toString("base64")}"`, '"encoding":"base64"');
  return `{${parts.join(",")}}`;
}

/** The text itself where it is JSON (on one line), else the text as a JSON string. */
function jsonOf(text: string): string {
  try {
    JSON.parse(text);
    // A raw CR or LF cannot stand within a JSON string: what is replaced is white space between tokens.
    return text.replaceAll(/[\r\n]+/g, " ");
  } catch {
    return JSON.stringify(text);
  }
}

function headersOf(headers: readonly RecordHeader[]): string {
  const byName = new Map<string, string[]>();
  for (const [name, value] of headers) {
    if (name.startsWith("headgate-")) continue;
    const values = byName.get(name);
    if (values) values.push(textOrBase64(value));
    else byName.set(name, [textOrBase64(value)]);
  }
  const members = [...byName].map(([name, [first = "", ...more]]) => {
    const value = more.length === 0 ? first : `[${[first, ...more].join(",")}]`;
    return `${JSON.stringify(name)}:${value}`;
  });
  return `{${members.join(",")}}`;
}

function textOrBase64(bytes: Uint8Array | null): string {
  if (bytes === null) return "null";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? JSON.stringify(buffer.toString())
    : `{"base64":"${buffer.toString("base64")}"}`;
}
