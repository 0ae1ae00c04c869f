import type { OutgoingRecord } from "../log/publisher.ts";
import type { Activities, Connections } from "./connections.ts";

/** Given at once by the streams of this process, and later where workers have to be asked. */
type Eventually<T> = T | Promise<T>;

/** The open streams of this instance, in all processes that serve them, as others look at them. */
export interface Streams {
  /** From the first moment of a drain. */
  readonly isDraining: boolean;
  /** Of events, by what they do; from memory, at most a second old. O(subscribers). */
  activities(): Activities;
  /** Different users among the subscribers. */
  activeUsers(): Eventually<number>;
  /** Of the dashboard. */
  watchers(): number;
  /** How many subscribers records that are about to be published reach. */
  receivers(records: readonly OutgoingRecord[]): Eventually<number>;
  /** Who is connected. O(subscribers). */
  connections(): Eventually<Connections>;
}
