/** A topic's part of a position: next offset of partition 0, 1, 2 …, all of them, under the topic's tag. */
export interface TopicPosition {
  /** 1 to 8 of [a-z0-9]; tells this topic from another of the same name. */
  readonly tag: string;
  readonly offsets: readonly number[];
}

/** For every partition of some topics, the offset that is read next. */
export type Position = ReadonlyMap<string, TopicPosition>;

/** Longest id we read or write, in bytes: a stranger's `Last-Event-ID` costs no more than this. */
export const MAX_ID_BYTES = 4096;

/** Most partitions in one id, and in one subscription: bounds what an id can make us allocate. */
export const MAX_PARTITIONS = 256;

const TOPIC = /^[A-Za-z0-9._-]{1,249}$/;
const TAG = /^[a-z0-9]{1,8}$/;
const OFFSET = /^(?:0|[1-9][0-9]{0,15})$/;

/** Whether Kafka allows this as a topic's name (Topic.validate: 1 to 249 of [A-Za-z0-9._-], not "." or ".."). */
export function isTopicName(name: string): boolean {
  return TOPIC.test(name) && name !== "." && name !== "..";
}

/** `~topic~tag~1042.998`: one topic's part of an id. */
export function formatTopic(topic: string, { tag, offsets }: TopicPosition): string {
  return `~${topic}~${tag}~${offsets.join(".")}`;
}

/** The text of a position: "1" and every topic's part, in byte order of the names (which are ASCII). */
export function formatPosition(position: Position): string {
  let id = "1";
  for (const topic of [...position.keys()].toSorted()) {
    const part = position.get(topic);
    if (part) id += formatTopic(topic, part);
  }
  return id;
}

/**
 * Reads an id that a stranger gave us; undefined where it is not of the grammar, too long, names
 * too many partitions, or holds an offset that a JavaScript number cannot hold exactly.
 * Linear in the text's length, which is bounded.
 */
export function parsePosition(id: string): Position | undefined {
  if (id.length > MAX_ID_BYTES) return undefined;
  const parts = id.split("~");
  if (parts[0] !== "1" || parts.length < 4 || (parts.length - 1) % 3 !== 0) return undefined;
  const position = new Map<string, TopicPosition>();
  let previous = "";
  let partitions = 0;
  for (let i = 1; i < parts.length; i += 3) {
    const [topic = "", tag = "", list = ""] = parts.slice(i, i + 3);
    if (!isTopicName(topic) || topic <= previous || !TAG.test(tag)) return undefined;
    const offsets = parseOffsets(list);
    if (!offsets) return undefined;
    partitions += offsets.length;
    if (partitions > MAX_PARTITIONS) return undefined;
    position.set(topic, { tag, offsets });
    previous = topic;
  }
  return position;
}

function parseOffsets(list: string): number[] | undefined {
  const offsets: number[] = [];
  for (const text of list.split(".")) {
    const offset = Number(text);
    if (!OFFSET.test(text) || !Number.isSafeInteger(offset)) return undefined;
    offsets.push(offset);
  }
  return offsets;
}

/** The tag of a topic with this id (16 bytes, as Kafka's Metadata gives it): the same on every instance. */
export function tagOfUuid(uuid: Uint8Array): string {
  let number = 0n;
  for (const byte of uuid) number = number * 256n + BigInt(byte);
  // 36^8 - 1: eight characters at most, and prime to 256, so that every byte counts.
  return (number % 2821109907455n).toString(36);
}

/**
 * `base`, and for the topics that `over` names too: the later of the two in each partition where
 * the tags agree (a partition that only one of them knows counts as 0 in the other), else `over`'s.
 */
export function laterOf(base: Position, over: Position): Position {
  const later = new Map(base);
  for (const [topic, part] of over) {
    const other = base.get(topic);
    later.set(topic, other?.tag === part.tag ? laterTopic(part, other) : part);
  }
  return later;
}

function laterTopic({ tag, offsets }: TopicPosition, other: TopicPosition): TopicPosition {
  const length = Math.max(offsets.length, other.offsets.length);
  const later = Array.from({ length }, (_, partition) =>
    Math.max(offsets[partition] ?? 0, other.offsets[partition] ?? 0),
  );
  return { tag, offsets: later };
}

/** Whether `state` is, in every partition of the topic, at or beyond `target`. */
export function hasReached(state: TopicPosition | undefined, target: TopicPosition): boolean {
  if (state?.tag !== target.tag) return false;
  return target.offsets.every((offset, partition) => offset <= (state.offsets[partition] ?? 0));
}
