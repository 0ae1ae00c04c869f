/**
 * Which of two media types an `Accept` header prefers [RFC 9110 §12.5.1]: by weight, then by which
 * comes first; undefined where it names neither by its full name. Wildcards name nothing.
 */
export function preferredType<const T extends string>(
  accept: string | null,
  types: readonly T[],
): T | undefined {
  let best: { type: T; weight: number } | undefined;
  for (const { name, weight } of items(accept)) {
    const type = types.find((each) => each === name);
    if (type === undefined || !(weight > 0)) continue;
    if (!best || weight > best.weight) best = { type, weight };
  }
  return best?.type;
}

/**
 * Whether an `Accept-Encoding` header admits gzip, and does not prefer what is not compressed. Without
 * one anything is admitted, and nobody asked for it: false.
 */
export function acceptsGzip(acceptEncoding: string | null): boolean {
  const weights = new Map<string, number>();
  for (const { name, weight } of items(acceptEncoding)) weights.set(name, weight);
  // [RFC 9110 §8.4.1.3] `x-gzip` is the same. [§12.5.3] `*` is whatever is not named.
  const gzip = weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0;
  return gzip > 0 && gzip >= (weights.get("identity") ?? 0);
}

/** The items of a header with weights [RFC 9110 §12.4.2], in its order, in lower case. */
function items(header: string | null): { name: string; weight: number }[] {
  if (header === null) return [];
  const list = header.slice(0, MAX_LENGTH).toLowerCase().split(",");
  return list.map((item) => {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim());
    const weight = Number(parameters.find((each) => each.startsWith("q="))?.slice(2) ?? 1);
    return { name, weight };
  });
}

/** Browsers send a hundred characters: what is longer is not read on. */
const MAX_LENGTH = 2048;
