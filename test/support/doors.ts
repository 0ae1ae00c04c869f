import type { Settings } from "./server.ts";
import { TestSubscriber } from "./subscriber.ts";

/** An event as it came through a door: the topic has one partition, so that its offset names it. */
export interface Shown {
  readonly offset: number;
  /** The type, and the text of the data (`key` of a tombstone). */
  readonly text: string;
}

/** A caller at the server's doors: who it is, and what it asks for wherever it asks. */
export interface Caller {
  readonly url: string;
  readonly headers: Settings;
  /** `channels=…` and other filters, without `?`. */
  readonly query: string;
}

interface Envelope {
  readonly offset: number;
  readonly key: string | null;
  readonly payload: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The replay of a stream, up to `live`. */
export async function replayed(
  { url, headers, query }: Caller,
  start: string,
  lastEventId?: string,
): Promise<Shown[]> {
  await using subscriber = await TestSubscriber.open(url, `/events?${query}&${start}`, {
    headers,
    ...(lastEventId !== undefined && { lastEventId }),
  });
  const live = await subscriber.first("live");
  const events = shownBy(subscriber);
  checkCount(JSON.parse(live.data), events);
  return events;
}

/** What a subscriber of plain events, or of envelopes, has got so far. */
export function shownBy(subscriber: TestSubscriber): Shown[] {
  return subscriber.records.map(({ event, data, id }) => {
    const offset = offsetOf(id) - 1;
    if (!data.startsWith('{"topic"')) return { offset, text: `${event} ${data}` };
    const shown = fromEnvelope(JSON.parse(data) as Envelope);
    if (shown.offset !== offset) throw new Error(`${data} has the id ${id}`);
    return shown;
  });
}

/** The replay of a stream of JSON lines, up to `live`. */
export async function replayedLines(
  { url, headers, query }: Caller,
  start: string,
): Promise<Shown[]> {
  const response = await fetch(`${url}/events?${query}&${start}`, {
    headers: { ...headers, Accept: "application/x-ndjson" },
  });
  const events: Shown[] = [];
  for await (const line of linesOf(response)) {
    const { event, data, ...envelope } = JSON.parse(line) as Envelope & Record<string, unknown>;
    if (event === "live") {
      checkCount(data, events);
      return events;
    }
    if (event === undefined) events.push(fromEnvelope(envelope));
  }
  throw new Error("The stream ended before it was live");
}

/** What `/events/recent` lists, oldest first. */
export async function listed({ url, headers, query }: Caller, how: string): Promise<Shown[]> {
  const response = await fetch(`${url}/events/recent?${query}&${how}`, { headers });
  const { events } = (await response.json()) as { events: Envelope[] };
  return events.map(fromEnvelope).toReversed();
}

/** Those of so many offsets that can be looked up. */
export async function lookedUp(
  { url, headers, query }: Caller,
  topic: string,
  count: number,
): Promise<Shown[]> {
  const found: Shown[] = [];
  for (let offset = 0; offset < count; offset += 1) {
    const response = await fetch(`${url}/events/${topic}/0/${offset}?${query}`, { headers });
    if (response.status === 200) found.push(fromEnvelope((await response.json()) as Envelope));
    else if (response.status !== 404) throw new Error(`Looking up is answered ${response.status}`);
    else await response.body?.cancel();
  }
  return found;
}

/** How many events a stream would replay. */
export async function explained({ url, headers, query }: Caller, start: string): Promise<number> {
  const response = await fetch(`${url}/events/explain?${query}&${start}`, { headers });
  const { replay } = (await response.json()) as { replay: { events: number } };
  return replay.events;
}

/** The offset in an id of one topic with one partition. */
export function offsetOf(id: string): number {
  return Number(id.slice(id.lastIndexOf("~") + 1));
}

/** @throws Error where a header is there that is not for subscribers. */
function fromEnvelope({ offset, key, payload, headers }: Envelope): Shown {
  const hidden = Object.keys(headers).find((name) => /^headgate-/i.test(name));
  if (hidden !== undefined) throw new Error(`The envelope shows the header ${hidden}`);
  const type = payload === null ? "delete" : (headers["type"] ?? "message");
  return { offset, text: `${type} ${JSON.stringify(payload ?? key)}` };
}

function checkCount(live: unknown, events: readonly Shown[]): void {
  const { replayed: count } = live as { replayed: number };
  if (count !== events.length)
    throw new Error(`${events.length} events came, "live" says ${count}`);
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
