import { envelopeOf } from "./envelope.ts";
import type { Event } from "./event.ts";

/** What an event's line begins with: the position after it, beside the envelope's own members. */
export function lineStart(id: string): string {
  // [docs/protocol.md] An id is of [A-Za-z0-9._~-]: there is nothing to escape.
  return `{"id":"${id}",`;
}

/** The rest of an event's line: its envelope, or where it was and why it cannot be shown. */
export function lineRest(event: Event): string {
  const { entry } = event;
  if (entry.kind !== "skipped") return `${envelopeOf(event).slice(1)}\n`;
  const { topic, partition, offset, reason } = entry;
  return `"event":"skipped","data":${JSON.stringify({ topic, partition, offset, reason })}}\n`;
}

/** A system event's line; `data` is JSON, or empty. */
export function systemLine(event: string, data: string, id: string | undefined): string {
  return `{"event":"${event}",${id === undefined ? "" : `"id":"${id}",`}"data":${data || "null"}}\n`;
}
