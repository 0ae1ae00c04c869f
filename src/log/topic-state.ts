import type { Position, TopicPosition } from "./position.ts";
import type { StoredEntry } from "./stored-entry.ts";

/** A position that moves on with the log, entry by entry. */
export class TopicStates {
  readonly #topics: Map<string, { tag: string; offsets: number[] }>;

  constructor(position: Position = new Map()) {
    this.#topics = new Map(
      [...position].map(([topic, { tag, offsets }]) => [topic, { tag, offsets: [...offsets] }]),
    );
  }

  /** A copy that moves on by itself. */
  clone(): TopicStates {
    return new TopicStates(this.#topics);
  }

  get(topic: string): TopicPosition | undefined {
    return this.#topics.get(topic);
  }

  /** Moves past an entry: the only place that knows how entries change positions. */
  advance(entry: Pick<StoredEntry, "topic" | "tag" | "partition" | "offset" | "offsets">): void {
    if (entry.offsets) {
      this.#topics.set(entry.topic, { tag: entry.tag, offsets: [...entry.offsets] });
      return;
    }
    const state = this.#topics.get(entry.topic);
    if (state?.tag === entry.tag) state.offsets[entry.partition] = entry.offset + 1;
  }

  /** A copy that stays as it is, of these topics or of all. */
  snapshot(topics: Iterable<string> = this.#topics.keys()): Position {
    const position = new Map<string, TopicPosition>();
    for (const topic of topics) {
      const state = this.#topics.get(topic);
      if (state) position.set(topic, { tag: state.tag, offsets: [...state.offsets] });
    }
    return position;
  }

  /** As a checkpoint row holds it. */
  toJSON(): [topic: string, tag: string, offsets: number[]][] {
    return [...this.#topics].map(([topic, { tag, offsets }]) => [topic, tag, offsets]);
  }

  static fromJSON(text: string): TopicStates {
    // The cast holds: only toJSON writes this column.
    const rows = JSON.parse(text) as [string, string, number[]][];
    return new TopicStates(new Map(rows.map(([topic, tag, offsets]) => [topic, { tag, offsets }])));
  }
}
