import type { FetchAnswer, FetchQuestion } from "./requests.ts";

/** One partition as the feed reads it. Made anew when its topic is made anew. */
export class FeedPartition {
  readonly topic: string;
  /** Kafka's id of the topic, 16 bytes: what is fetched is of this topic and of no other of its name. */
  readonly topicId: Uint8Array;
  readonly partition: number;
  /** The offset that is read next; the log stands there too. */
  position: number;
  leader = -1;
  leaderEpoch = -1;
  /** Where a committed read ended when the feed first asked; undefined until a leader said. */
  endAtStart: number | undefined;
  /** Kafka's high watermark when it was last heard of. */
  ends = 0;
  /** When its leader last answered for it (monotonic, ms). */
  heardMs = performance.now();
  #isReading = false;
  #fault: string | undefined;
  #suspensions = 0;
  #standingSinceMs: number | undefined;

  constructor(topic: string, topicId: Uint8Array, partition: number, position: number) {
    this.topic = topic;
    this.topicId = topicId;
    this.partition = partition;
    this.position = position;
    this.ends = position;
  }

  get name(): string {
    return `${this.topic}/${this.partition}`;
  }

  /** What to ask its leader for. */
  get question(): FetchQuestion {
    const { topicId, partition, leaderEpoch, position } = this;
    return { topicId, partition, leaderEpoch, offset: position };
  }

  /** Whether the position was compared with Kafka since the last suspension. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Why it cannot be read, as far as that is known; undefined while it is. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Changes with each suspension: what was asked for before one is not taken after it. */
  get turn(): number {
    return this.#suspensions;
  }

  /** A new leader may have another end and other records: the position is compared before reading on. */
  lead(leader: number, leaderEpoch: number): void {
    if (leader === this.leader && leaderEpoch === this.leaderEpoch) return;
    this.leader = leader;
    this.leaderEpoch = leaderEpoch;
    this.suspend(leader < 0 ? "It has no leader" : undefined);
  }

  /** @param fault why, where that is known: it stands until the partition is read on. */
  suspend(fault?: string): void {
    this.#isReading = false;
    this.blame(fault);
    this.#suspensions += 1;
    this.#standingSinceMs = undefined;
  }

  /** Says why it is not read on. */
  blame(fault: string | undefined): void {
    this.#fault = fault ?? this.#fault;
  }

  readOn(): void {
    this.#isReading = true;
    this.#fault = undefined;
    this.heardMs = performance.now();
  }

  /** For how long Kafka has had more committed records without the position moving on. */
  standingMs(from: number, { lastStableOffset }: FetchAnswer, nowMs: number): number {
    if (this.position > from || lastStableOffset <= this.position) {
      this.#standingSinceMs = undefined;
      return 0;
    }
    this.#standingSinceMs ??= nowMs;
    return nowMs - this.#standingSinceMs;
  }

  isCaughtUp(): boolean {
    return this.endAtStart !== undefined && this.position >= this.endAtStart;
  }
}
