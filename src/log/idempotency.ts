import type { RecordHeader } from "./entry.ts";

/**
 * The header that marks a record as one of those published under an Idempotency-Key
 * [draft-ietf-httpapi-idempotency-key-header]: `<digest>.<index>.<count>`.
 *
 * Every instance reads it, and keeps the marks in an index of its log. So a retry is recognised
 * wherever it arrives; and of two that raced, which lie in the same partition in the same order
 * for everybody, each log drops the later one.
 */
const MARK_HEADER = "headgate-idempotency-key";

/** Which event of which publish a record is. */
export interface Mark {
  /** Stands for the publisher and its key: 1 to 64 of [A-Za-z0-9_-]. */
  readonly digest: string;
  /** The event's place among those of its publish, and how many they were. */
  readonly index: number;
  readonly count: number;
}

const MARK = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9]\d{0,5})\.([1-9]\d{0,5})$/;

/** Whoever writes to the topic can write this header too: what is not of our form counts as absent. */
const MAX_MARK_BYTES = 80;

/** The mark among a record's headers, as text that is compared whole. */
export function markTextOf(headers: readonly RecordHeader[]): string | undefined {
  for (const [name, value] of headers) {
    if (name !== MARK_HEADER || value.byteLength > MAX_MARK_BYTES) continue;
    const text = Buffer.from(value).toString("latin1");
    return MARK.test(text) ? text : undefined;
  }
  return undefined;
}

/** @throws Error for a text that `markTextOf` cannot have returned. */
export function parseMark(text: string): Mark {
  const [, digest = "", index, count] = MARK.exec(text) ?? [];
  if (digest === "") throw new Error("Not a mark");
  return { digest, index: Number(index), count: Number(count) };
}

export function markHeader({ digest, index, count }: Mark): RecordHeader {
  return [MARK_HEADER, Buffer.from(`${digest}.${index}.${count}`)];
}
