import { parseBaseUrl } from "./base-url.ts";
import type { Subscription } from "./stream-options.ts";

/** The parameters of a subscription, in the order in which they are written. */
const PARAMETERS = [
  "topics",
  "types",
  "keys",
  "channels",
  "since",
  "recent",
  "per",
  "envelope",
  "clientId",
  "userId",
  "username",
] as const satisfies readonly (keyof Subscription)[];

/**
 * The address of a stream. Equal subscriptions have equal ones.
 * @throws TypeError for a url that is none.
 */
export function streamUrl({
  url = "/",
  path = "/events",
  ...subscription
}: Subscription & { url?: string | undefined; path?: string | undefined }): string {
  const query = PARAMETERS.flatMap((name) => {
    const value = subscription[name];
    return value === undefined ? [] : [`${name}=${parameterText(value)}`];
  }).join("&");
  return `${parseBaseUrl(url)}${path.replace(/^\/*/, "/")}${query && (path.includes("?") ? "&" : "?") + query}`;
}

/** Lists are split at commas before they are decoded: a comma in an item is `%2C`. */
function parameterText(value: NonNullable<Subscription[keyof Subscription]>): string {
  return [value]
    .flat()
    .map((item) => encodeURIComponent(item instanceof Date ? item.toISOString() : item))
    .join(",");
}
