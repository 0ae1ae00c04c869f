/** Most characters of one name in a pointer: the name is the caller's, may be a whole body long, and the answer repeats it. */
const MAX_NAME_LENGTH = 100;

/** The pointer to what lies at `path` below `at` [RFC 6901]. Long names are cut. */
export function pointerTo(at: string, ...path: readonly PropertyKey[]): string {
  return at + path.map((name) => `/${escape(String(name).slice(0, MAX_NAME_LENGTH))}`).join("");
}

/** [RFC 6901 §3] */
function escape(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
