import { VARIABLES } from "./config-schema.ts";

/** All names that mean something: variables, their aliases, and `<NAME>_FILE` of secrets. */
const KNOWN = new Set(Object.keys(VARIABLES));
for (const [name, { aliases, isSecret }] of Object.entries(VARIABLES)) {
  for (const alias of aliases) KNOWN.add(alias);
  if (isSecret) KNOWN.add(`${name}_FILE`);
}

/** Prefixes that are ours alone: an unknown name that begins so is a mistake. */
const OWN_PREFIX = /^(?:SSE|JWT|AGGREGATE)_/;

/** Names whose values may be secrets, spelled wrong or not. */
const SECRET_NAME = /SECRET|PASS|KEY|TOKEN|CREDENTIAL|JWT_/i;

/**
 * What Kubernetes injects for its services is not meant for us, whatever the service is called: a
 * service `sse` makes `SSE_PORT=tcp://10.0.0.1:80`.
 */
export function isInjectedByKubernetes(name: string, value: string): boolean {
  return (
    /_SERVICE_HOST$|_SERVICE_PORT|_PORT_\d+_(?:TCP|UDP|SCTP)/.test(name) ||
    (name.endsWith("_PORT") && value.includes("://"))
  );
}

/** The known name that an unknown one is a mistake for, or undefined where it is none of our business. */
export function findMistake(name: string): string | undefined {
  if (KNOWN.has(name)) return undefined;
  if (OWN_PREFIX.test(name)) return closestToOwn(name);
  if (name.length < 8) return undefined;
  // KAFKA_* is shared with many other tools.
  const edits = name.startsWith("KAFKA_") ? 1 : 2;
  // An environment has many names: only those nearly as long are compared letter by letter.
  const alike = [...KNOWN].filter((known) => Math.abs(known.length - name.length) <= edits);
  const closest = closestName(name, alike, editDistance);
  return editDistance(name, closest) <= edits ? closest : undefined;
}

/** Whether the value of a variable of this name must not be shown. */
export function mayHoldSecret(name: string): boolean {
  return SECRET_NAME.test(name);
}

function closestToOwn(name: string): string {
  // An option of the library that does not exist: SSE_heartbeatsMs.
  const typed = name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  const closest = closestName(typed, KNOWN, editDistance);
  return editDistance(typed, closest) <= 2 ? closest : closestName(typed, KNOWN, beginningDistance);
}

function closestName(
  name: string,
  candidates: Iterable<string>,
  distanceOf: (from: string, to: string) => number,
): string {
  let closest = "";
  let least = Infinity;
  for (const known of candidates) {
    const distance = distanceOf(name, known);
    if (distance < least) [closest, least] = [known, distance];
  }
  return closest;
}

/** As if what was typed were the beginning: SSE_HEARTBEET is meant for SSE_HEARTBEAT_INTERVAL. */
function beginningDistance(typed: string, known: string): number {
  return editDistance(typed, known.slice(0, typed.length));
}

/** Levenshtein's distance: characters to insert, delete or replace. O(n·m). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[to.length] ?? 0;
}
