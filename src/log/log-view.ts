import type { CheckpointPlace } from "./checkpoints.ts";
import type { Position, TopicPosition } from "./position.ts";
import type { StoredEntry } from "./stored-entry.ts";
import { Tail } from "./tail.ts";
import type { TopicStates } from "./topic-state.ts";

/** From where to where a log reaches. */
export interface LogReach {
  readonly base: CheckpointPlace;
  /** Where every partition stood at the base. */
  readonly baseState: TopicStates;
  /** The `topic` entries after the base. */
  readonly topics: readonly StoredEntry[];
}

/** What is known of a log without reading its file. Whoever writes the log, or follows it, moves it on. */
export class LogView {
  /** The newest entries; some of those before `headSeq`, and none after it. */
  readonly tail: Tail;
  #head: TopicStates;
  #headSeq: number;
  #base: CheckpointPlace;
  #baseState: TopicStates;
  #floors = new Map<string, TopicPosition>();

  constructor(tailBytes: number, reach: LogReach, head: { seq: number; state: TopicStates }) {
    this.tail = new Tail(tailBytes);
    this.#head = head.state;
    this.#headSeq = head.seq;
    this.#base = reach.base;
    this.#baseState = reach.baseState;
    this.moveBase(reach);
  }

  /** Where every partition stands at the head: to be read, not to be changed. */
  get head(): TopicStates {
    return this.#head;
  }

  get headSeq(): number {
    return this.#headSeq;
  }

  get base(): CheckpointPlace {
    return this.#base;
  }

  /** The earliest position of a topic (under its present tag) after which everything is held. */
  floor(topic: string): TopicPosition | undefined {
    return this.#floors.get(topic);
  }

  /** Where every partition stood at the base, or at the head; undefined for any other place. */
  positionAt(seq: number): Position | undefined {
    if (seq === this.#headSeq) return this.#head.snapshot();
    return seq === this.#base.seq ? this.#baseState.snapshot() : undefined;
  }

  /** The log has gained entries, and stands at `seq` now. */
  moveHead(seq: number, state: TopicStates, entries: readonly StoredEntry[]): void {
    this.#head = state;
    this.#headSeq = seq;
    for (const entry of entries) {
      this.tail.push(entry);
      this.#raiseFloor(entry);
    }
  }

  /** The log has let go of what lay before the base. */
  moveBase({ base, baseState, topics }: LogReach): void {
    this.#base = base;
    this.#baseState = baseState;
    this.#floors = new Map(baseState.snapshot());
    for (const entry of topics) this.#raiseFloor(entry);
  }

  /** A topic begins (or grows) where its entry says. */
  #raiseFloor({ topic, tag, offsets }: StoredEntry): void {
    if (!offsets) return;
    const floor = this.#floors.get(topic);
    const known = floor?.tag === tag ? floor.offsets : [];
    this.#floors.set(topic, {
      tag,
      offsets: offsets.map((offset, partition) => known[partition] ?? offset),
    });
  }
}
