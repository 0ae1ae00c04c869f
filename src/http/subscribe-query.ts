import { quote, topicNotFound } from "../errors.ts";
import type { StartRequest } from "../hub/start-position.ts";
import type { Subscription, TypeFilter } from "../hub/subscription.ts";
import { isTopicName } from "../log/position.ts";
import { hasControlCharacter } from "../sse/event.ts";
import { badParameter, type Query } from "./query.ts";

/** The parameters that choose events, common to the stream and to the look-ups. */
export const FILTER_PARAMETERS = ["topics", "types", "keys", "channels"];

/** The parameters that choose where a stream begins. */
export const START_PARAMETERS = ["since", "recent", "lastEventId"];

const MAX_RECENT = 1000;

/**
 * Reads what to subscribe to.
 * @throws HeadgateError `invalid-parameter`, or `topic-not-found` for a topic that is not served.
 */
export function parseSubscription(query: Query, served: readonly string[]): Subscription {
  const keys = query.list("keys");
  return {
    topics: parseTopics(query.list("topics"), served),
    types: parseTypes(query.list("types")),
    keys: keys && new Set(keys),
    channels: new Set(query.list("channels")),
    encoding: query.flag("envelope") ? "envelope" : "plain",
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
  const since = parseSince(query.text("since"), nowMs);
  const recent = query.integer("recent", { min: 0, max: MAX_RECENT });
  if (since !== undefined && recent !== undefined) {
    throw badParameter("recent", 'Parameters "since" and "recent" exclude each other; use one');
  }
  // A header that was sent twice comes joined by commas, which no id holds: the first one counts.
  const [header = ""] = lastEventId?.split(",", 1) ?? [];
  const id = header || query.anyText("lastEventId") || undefined;
  return {
    lastEventId: id,
    since,
    recent: recent ?? (since === undefined ? defaultRecent : undefined),
    per: undefined,
  };
}

function parseTopics(patterns: readonly string[] | undefined, served: readonly string[]): string[] {
  if (!patterns) return [...served].toSorted();
  const topics = new Set<string>();
  for (const pattern of patterns) {
    const isPrefix = pattern.endsWith("*");
    const name = isPrefix ? pattern.slice(0, -1) : pattern;
    if (!isTopicName(name) && !(isPrefix && name === "")) {
      throw badParameter(
        "topics",
        `${quote(pattern)} cannot be a topic; names are 1 to 249 of [A-Za-z0-9._-], "*" may stand at the end`,
      );
    }
    const found = served.filter((topic) => (isPrefix ? topic.startsWith(name) : topic === name));
    if (found.length === 0) throw topicNotFound(pattern);
    for (const topic of found) topics.add(topic);
  }
  return [...topics].toSorted();
}

function parseTypes(patterns: readonly string[] | undefined): TypeFilter | undefined {
  if (!patterns) return undefined;
  const exact = new Set<string>();
  const prefixes = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.endsWith("*")) prefixes.add(pattern.slice(0, -1));
    else exact.add(pattern);
  }
  return { exact, prefixes: [...prefixes] };
}

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
// RFC 3339; a space is a "+" that was not encoded.
const INSTANT =
  /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+ -]\d\d:?\d\d))?$/;

function parseSince(text: string | undefined, nowMs: number): StartRequest["since"] {
  if (text === undefined) return undefined;
  if (text === "latest" || text === "earliest") return text;
  const [, count, unit = ""] = DURATION.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * (UNIT_MS[unit] ?? 1);
  const instantMs = INSTANT.test(text) ? Date.parse(text.replace(" ", "+")) : Number.NaN;
  if (Number.isNaN(instantMs)) {
    throw badParameter(
      "since",
      `Parameter "since" is ${quote(text)}; use latest, earliest, an ISO 8601 instant or a duration such as 15m`,
    );
  }
  return instantMs;
}

const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;
const MAX_NAME_LENGTH = 128;

/** Who the caller says it is; undefined where it says nothing. */
export function parseSelf(query: Query): Partial<Record<"clientId" | "user" | "username", string>> {
  const clientId = query.text("clientId");
  if (clientId !== undefined && !CLIENT_ID.test(clientId)) {
    throw badParameter(
      "clientId",
      `Parameter "clientId" is ${quote(clientId)}; use 1 to 64 of [A-Za-z0-9._-]`,
    );
  }
  const user = parseName(query, "userId");
  const username = parseName(query, "username");
  return {
    ...(clientId !== undefined && { clientId }),
    ...(user !== undefined && { user }),
    ...(username !== undefined && { username }),
  };
}

function parseName(query: Query, parameter: string): string | undefined {
  const name = query.text(parameter);
  if (name === undefined) return undefined;
  if (name === "" || name.length > MAX_NAME_LENGTH || hasControlCharacter(name)) {
    throw badParameter(
      parameter,
      `Parameter ${quote(parameter)} is ${quote(name)}; use 1 to ${MAX_NAME_LENGTH} characters, none of them control characters`,
    );
  }
  return name;
}
