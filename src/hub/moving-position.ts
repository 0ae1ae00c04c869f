import { formatTopic, type Position } from "../log/position.ts";
import type { StoredEntry } from "../log/stored-entry.ts";
import { TopicStates } from "../log/topic-state.ts";

/** A position that moves entry by entry and keeps its text: an entry changes one topic's part only. */
export class MovingPosition {
  readonly #states: TopicStates;
  readonly #parts = new Map<string, string>();

  constructor(position: Position) {
    this.#states = new TopicStates(position);
  }

  advance(entry: StoredEntry): void {
    this.#states.advance(entry);
    this.#parts.delete(entry.topic);
  }

  /** The id of this position over `topics`, which are in byte order. */
  id(topics: readonly string[]): string {
    let id = "1";
    for (const topic of topics) id += this.#parts.get(topic) ?? this.#format(topic);
    return id;
  }

  tag(topic: string): string | undefined {
    return this.#states.get(topic)?.tag;
  }

  /** The offset that is read next in a partition. */
  next(topic: string, partition: number): number {
    return this.#states.get(topic)?.offsets[partition] ?? 0;
  }

  snapshot(topics: readonly string[]): Position {
    return this.#states.snapshot(topics);
  }

  #format(topic: string): string {
    const state = this.#states.get(topic);
    const part = state ? formatTopic(topic, state) : "";
    this.#parts.set(topic, part);
    return part;
  }
}
