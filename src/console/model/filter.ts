import type { ReceivedEvent } from "./received-event.ts";

/** What of the stream is shown. Empty texts ask for nothing. */
export interface Filter {
  readonly topic: string;
  /** Comma list; `*` at the end of a name is a prefix match, as in the parameter `types`. */
  readonly types: string;
  /** The same of keys. */
  readonly keys: string;
  /** Somewhere in the payload, the key, the type or the topic, whatever its case. */
  readonly text: string;
}

export const NO_FILTER: Filter = { topic: "", types: "", keys: "", text: "" };

export function isEmptyFilter({ topic, types, keys, text }: Filter): boolean {
  return [topic, types, keys, text].every((one) => one.trim() === "");
}

/** What tells whether an event is shown: made once for a filter, called for every event. */
export function createMatcher({ topic, types, keys, text }: Filter): (e: ReceivedEvent) => boolean {
  const isType = namesIn(types);
  const isKey = namesIn(keys);
  const wanted = text.trim().toLowerCase();
  const has = (part: string): boolean => part.toLowerCase().includes(wanted);
  return (event) =>
    (topic === "" || event.topic === topic) &&
    isType(event.type) &&
    isKey(event.key ?? "") &&
    (wanted === "" ||
      has(event.payload) ||
      has(event.type) ||
      has(event.topic) ||
      has(event.key ?? ""));
}

function namesIn(list: string): (name: string) => boolean {
  const patterns = list
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  if (patterns.length === 0) return () => true;
  return (name) =>
    patterns.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one));
}
