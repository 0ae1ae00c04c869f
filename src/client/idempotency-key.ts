/** What a header carries unchanged: printable ASCII, without the blanks at its ends that are dropped. */
const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

/** @throws RangeError for a key that the server would refuse, or see as another. */
export function checkIdempotencyKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new RangeError(
    "idempotencyKey must be 1 to 128 printable ASCII characters, without blanks at its ends",
  );
}

/** 128 random bits. (`crypto.randomUUID` is missing in pages that came without TLS.) */
export function createIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
