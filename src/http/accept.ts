/**
 * Which of two media types an `Accept` header prefers [RFC 9110 §12.5.1]: by weight, then by which
 * comes first; undefined where it names neither by its full name. Wildcards name nothing.
 */
export function preferredType<const T extends string>(
  accept: string | null,
  types: readonly T[],
): T | undefined {
  if (accept === null) return undefined;
  let best: { type: T; weight: number } | undefined;
  for (const range of accept.slice(0, MAX_LENGTH).toLowerCase().split(",")) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim());
    const type = types.find((each) => each === name);
    const weight = Number(parameters.find((each) => each.startsWith("q="))?.slice(2) ?? 1);
    if (type === undefined || !(weight > 0)) continue;
    if (!best || weight > best.weight) best = { type, weight };
  }
  return best?.type;
}

/** Browsers send a hundred characters: what is longer is not read on. */
const MAX_LENGTH = 2048;
