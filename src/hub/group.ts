import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** Parts of the live subscribers that take turns: see `lanes.ts`. */
export const LANES = 8;

/** Subscribers with equal subscriptions: what one of them gets, all of them get, in the same bytes. */
export class Group {
  /** Distinguishes groups in the page cache; never used again. */
  readonly id: number;
  readonly key: string;
  readonly subscription: Subscription;
  /** Equal for groups whose frames are alike: the same topics in the ids, the same encoding. */
  readonly viewKey: string;
  /** All members, in whatever state. */
  readonly members = new Set<Subscriber>();
  /** By lane, those that are caught up, and take the shared bytes of each turn. */
  readonly live: readonly Set<Subscriber>[] = Array.from({ length: LANES }, () => new Set());
  /** When shared bytes last went out to all who are live (monotonic, ms). */
  lastWriteMs = 0;

  constructor(id: number, key: string, subscription: Subscription) {
    this.id = id;
    this.key = key;
    this.subscription = subscription;
    this.viewKey = `${subscription.encoding}~${subscription.topics.join("~")}`;
  }
}
