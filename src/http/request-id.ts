/** What a proxy's id may be: UUIDs, nginx's $request_id. Short and plain: it goes into the log and back to a stranger. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** By which a request is found in the log: the one that it came with, or a new one. */
export function requestIdOf({ headers }: Request): string {
  const given = headers.get("x-request-id");
  return given !== null && ID.test(given) ? given : crypto.randomUUID();
}
