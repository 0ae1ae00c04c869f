import type { ReceivedEvent } from "./received-event.ts";

/** What the commands need to know of the page. */
export interface CommandContext {
  /** Absolute, of `/events`. */
  readonly eventsUrl: string;
  readonly channels: readonly string[];
  /** Whether the server asks for tokens. */
  readonly needsToken: boolean;
}

/** A word that no POSIX shell changes. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What shows everything after an event, as it comes. */
export function resumeCommand({ id }: Pick<ReceivedEvent, "id">, context: CommandContext): string {
  const url = withQuery(context.eventsUrl, ["envelope=true", ...channelsOf(context)]);
  const command = `curl -N ${shellQuote(url)} -H ${shellQuote(`Last-Event-ID: ${id}`)}`;
  return command + tokenOf(context);
}

/** What shows one event, by where it lies. */
export function fetchCommand(
  { topic, partition, offset }: Pick<ReceivedEvent, "topic" | "partition" | "offset">,
  context: CommandContext,
): string {
  const url = `${context.eventsUrl}/${encodeURIComponent(topic)}/${partition}/${offset}`;
  return `curl ${shellQuote(withQuery(url, channelsOf(context)))}${tokenOf(context)}`;
}

export function subscribeCommand(context: CommandContext): string {
  return `curl -N ${shellQuote(context.eventsUrl)}${tokenOf(context)}`;
}

export function publishCommand(
  event: Readonly<Record<string, unknown>>,
  context: CommandContext,
): string {
  const body = shellQuote(JSON.stringify(event));
  const type = shellQuote("Content-Type: application/json");
  return `curl ${shellQuote(context.eventsUrl)} -H ${type}${tokenOf(context)} -d ${body}`;
}

// Within single quotes nothing is expanded, and the token has to be.
function tokenOf({ needsToken }: CommandContext): string {
  return needsToken ? ' -H "Authorization: Bearer $TOKEN"' : "";
}

function channelsOf({ channels }: CommandContext): string[] {
  if (channels.length === 0) return [];
  return [`channels=${channels.map((channel) => encodeURIComponent(channel)).join(",")}`];
}

function withQuery(url: string, parts: readonly string[]): string {
  return parts.length === 0 ? url : `${url}?${parts.join("&")}`;
}
