import { HeadgateError, topicNotFound } from "../errors.ts";
import type { StartRequest } from "../hub/start-position.ts";
import type { Subscription, TypeFilter } from "../hub/subscription.ts";
import type { Meanings, ParameterName } from "./parameters.ts";
import { badParameter, type Query } from "./query.ts";

/** What chooses events. */
const FILTER_PARAMETERS = [
  "topics",
  "types",
  "keys",
  "channels",
] as const satisfies readonly ParameterName[];

/** What chooses where a stream begins. */
const START_PARAMETERS = [
  "since",
  "recent",
  "per",
  "lastEventId",
] as const satisfies readonly ParameterName[];

/** The parameters of `GET /events`, `GET /stream` and `GET /events/explain`. */
export const STREAM_PARAMETERS = [
  ...FILTER_PARAMETERS,
  ...START_PARAMETERS,
  "envelope",
  "clientId",
  "userId",
  "username",
] as const satisfies readonly ParameterName[];

/** The parameters of `GET /events/recent`. */
export const RECENT_PARAMETERS = [
  ...FILTER_PARAMETERS,
  "per",
  "limit",
] as const satisfies readonly ParameterName[];

/** The parameters of `GET /events/{topic}/{partition}/{offset}`. */
export const LOOK_UP_PARAMETERS = ["channels"] as const satisfies readonly ParameterName[];

/**
 * Reads what to subscribe to. `served` are the served topics that the caller may read: of the
 * others it is told no more than of those that do not exist.
 * @throws HeadgateError `invalid-parameter`, `topic-not-found` for a topic that is not among
 * them, `forbidden` where there are none.
 */
export function parseSubscription(query: Query, served: readonly string[]): Subscription {
  const keys = query.get("keys");
  return {
    topics: chooseTopics(query.get("topics"), served),
    types: toTypeFilter(query.get("types")),
    keys: keys && new Set(keys),
    channels: new Set(query.get("channels")),
    encoding: query.get("envelope") === true ? "envelope" : "plain",
  };
}

/** Reads where to begin. The header wins over the parameter; empty is absent. */
export function parseStart(
  query: Query,
  {
    lastEventId,
    defaultRecent,
    nowMs,
  }: {
    lastEventId: string | null;
    defaultRecent: number | undefined;
    nowMs: number;
  },
): StartRequest {
  const since = query.get("since");
  const given = query.get("recent");
  if (since !== undefined && given !== undefined) {
    throw badParameter("recent", 'Parameters "since" and "recent" exclude each other; use one');
  }
  const recent = given ?? (since === undefined ? defaultRecent : undefined);
  const per = query.get("per");
  if (per !== undefined && recent === undefined) {
    throw badParameter("per", 'Parameter "per" says which recent events; use it with "recent"');
  }
  // A header that was sent twice comes joined by commas, which no id holds: the first one counts.
  const [header = ""] = lastEventId?.split(",", 1) ?? [];
  const id = header || query.get("lastEventId") || undefined;
  return { lastEventId: id, since: since && toPlace(since, nowMs), recent, per };
}

function chooseTopics(
  patterns: readonly string[] | undefined,
  served: readonly string[],
): string[] {
  if (!patterns) {
    if (served.length > 0) return [...served].toSorted();
    throw new HeadgateError("forbidden", "The token allows no topic; ask for one that does");
  }
  const topics = new Set<string>();
  for (const pattern of patterns) {
    const isPrefix = pattern.endsWith("*");
    const name = isPrefix ? pattern.slice(0, -1) : pattern;
    const found = served.filter((topic) => (isPrefix ? topic.startsWith(name) : topic === name));
    if (found.length === 0) throw topicNotFound(pattern);
    for (const topic of found) topics.add(topic);
  }
  return [...topics].toSorted();
}

function toTypeFilter(patterns: readonly string[] | undefined): TypeFilter | undefined {
  if (!patterns) return undefined;
  const exact = new Set<string>();
  const prefixes = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.endsWith("*")) prefixes.add(pattern.slice(0, -1));
    else exact.add(pattern);
  }
  return { exact, prefixes: [...prefixes] };
}

function toPlace(since: Meanings["since"], nowMs: number): StartRequest["since"] {
  if (typeof since === "string") return since;
  return "agoMs" in since ? nowMs - since.agoMs : since.atMs;
}

/** Who the caller says it is; undefined where it says nothing. */
export function parseSelf(query: Query): Partial<Record<"clientId" | "user" | "username", string>> {
  const clientId = query.get("clientId");
  const user = query.get("userId");
  const username = query.get("username");
  return {
    ...(clientId !== undefined && { clientId }),
    ...(user !== undefined && { user }),
    ...(username !== undefined && { username }),
  };
}
