import type { ReadableLog } from "../log/readable-log.ts";
import { laterOf, type Position, type TopicPosition } from "../log/position.ts";
import { type Event, toEvent } from "../sse/event.ts";
import { isEvent, type Picks, type Reader } from "./page.ts";
import { isFor } from "./subscription.ts";

/** Entries, or blocks of entries, that one step of a scan looks at. */
const STEP_ENTRIES = 200;
const STEP_BLOCKS = 50;

/** Events that a reader may see, newest first, with a `yield` after each small step. */
export function* newestEvents(
  log: ReadableLog,
  reader: Reader,
  onEvent: (event: Event) => "more" | "enough",
): Generator<void, void, void> {
  let seq = log.headSeq + 1;
  for (;;) {
    const entries = log.before(seq, STEP_ENTRIES);
    for (const entry of entries) {
      seq = entry.seq;
      // A truncated or re-created topic's old entries are not what the topic holds now.
      if (!isEvent(entry) || entry.tag !== log.topic(entry.topic)?.tag) continue;
      const event = toEvent(entry);
      if (isFor(event, reader.subscription, reader.identity) && onEvent(event) === "enough") return;
    }
    if (entries.length === 0) return;
    yield;
  }
}

/** Whether an event is the newest of its key, where they are asked in order, newest first. Without a key it is of none. */
export function onePerKey(): (event: Event) => boolean {
  const seen = new Set<string>();
  return ({ entry: { topic, key } }) => {
    if (key === null) return false;
    // Topics hold no "~": two topics' keys are never one. As bytes: keys need not be text.
    const place = `${topic}~${Buffer.from(key).toString("latin1")}`;
    if (seen.has(place)) return false;
    seen.add(place);
    return true;
  };
}

/** Where the reader's `count` newest events (or, per key, newest of each key) begin: `recent=N`. */
export function* beginningOfRecent(
  log: ReadableLog,
  reader: Reader,
  count: number,
  per: "key" | undefined,
): Generator<void, { position: Position; picks: Picks | undefined }, void> {
  const { topics } = reader.subscription;
  const { headSeq } = log;
  const isWanted = per === "key" ? onePerKey() : () => true;
  const seqs = new Set<number>();
  let seq = headSeq + 1;
  yield* newestEvents(log, reader, (event) => {
    if (!isWanted(event)) return "more";
    seq = event.entry.seq;
    seqs.add(seq);
    return seqs.size < count ? "more" : "enough";
  });
  const position = log.positionAt(Math.max(seq - 1, log.baseSeq));
  const until = new Map(topics.map((topic) => [topic, headSeq]));
  return {
    position: earliestHeld(log, topics, position),
    picks: per === "key" ? { until, seqs } : undefined,
  };
}

/** Where every topic's floor is: `since=earliest`. */
export function earliestPosition(log: ReadableLog, topics: readonly string[]): Position {
  return earliestHeld(log, topics, new Map());
}

/** In each partition from the first record whose timestamp is not before `sinceMs`: `since=<instant>`. */
export function* positionSince(
  log: ReadableLog,
  topics: readonly string[],
  sinceMs: number,
): Generator<void, Position, void> {
  const position = new Map<string, TopicPosition>();
  const open = new Map<string, { topic: string; tag: string; partition: number }>();
  for (const topic of topics) {
    const end = log.topic(topic);
    if (!end) continue;
    const floor = log.floor(topic);
    position.set(topic, { tag: end.tag, offsets: [...end.offsets] });
    for (const [partition, offset] of end.offsets.entries()) {
      if (offset === (floor?.offsets[partition] ?? 0)) continue;
      open.set(`${topic}~${end.tag}~${partition}`, { topic, tag: end.tag, partition });
    }
  }
  const look = (latest: Iterable<[string, number]>, range: [number, number]): void => {
    for (const [key, timestampMs] of latest) {
      const place = timestampMs >= sinceMs ? open.get(key) : undefined;
      if (!place) continue;
      const { topic, tag, partition } = place;
      const offset = log.firstSince(topic, partition, sinceMs, range);
      const offsets = [...(position.get(topic)?.offsets ?? [])];
      if (offset === undefined) continue;
      offsets[partition] = offset;
      position.set(topic, { tag, offsets });
      open.delete(key);
    }
  };
  let seq = log.baseSeq;
  while (open.size > 0) {
    const blocks = log.blocksSince(sinceMs, seq, STEP_BLOCKS);
    for (const { from, to, latest } of blocks) {
      look(Object.entries(latest), [from, to]);
      seq = to;
    }
    if (blocks.length < STEP_BLOCKS) break;
    yield;
  }
  const rest = log.openBlock();
  look(rest.latest, [rest.from, Number.MAX_SAFE_INTEGER]);
  return position;
}

/** A position brought up to what is held of the topics' present incarnations. */
function earliestHeld(log: ReadableLog, topics: readonly string[], position: Position): Position {
  const held = new Map<string, TopicPosition>();
  for (const topic of topics) {
    const floor = log.floor(topic);
    if (!floor) continue;
    const part = position.get(topic);
    const only = new Map([[topic, floor]]);
    const isCurrent = part?.tag === floor.tag;
    held.set(topic, (isCurrent && laterOf(only, new Map([[topic, part]])).get(topic)) || floor);
  }
  return held;
}
