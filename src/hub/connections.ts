import type { Subscriber } from "./subscriber.ts";

/** One open stream, as its operator sees it. */
export interface Connection {
  readonly clientId: string;
  readonly user: string | undefined;
  readonly username: string | undefined;
  readonly connectedSince: Date;
  /** When bytes last went to it. */
  readonly lastActivity: Date;
  readonly topics: readonly string[];
  readonly channels: readonly string[];
  /** Entries of the log that it has still to be given; 0 for those that are live. */
  readonly lag: number;
}

export interface Connections {
  /** Open streams. */
  readonly total: number;
  /** Different users among them. */
  readonly activeUsers: number;
  readonly connections: readonly Connection[];
}

/** How many subscribers do what. */
export type Activities = Readonly<Record<"waiting" | "reading" | "live", number>>;

/** O(subscribers). */
export function countActivities(subscribers: ReadonlySet<Subscriber>): Activities {
  const counts = { waiting: 0, reading: 0, live: 0 };
  for (const { activity } of subscribers) {
    if (activity.kind !== "ended") counts[activity.kind] += 1;
  }
  return counts;
}

/** @param headSeq the log's end; undefined while there is none. O(subscribers). */
export function describeConnections(
  subscribers: ReadonlySet<Subscriber>,
  headSeq: number | undefined,
): Connections {
  const wallMs = Date.now() - performance.now();
  const users = new Set<string>();
  const connections = [...subscribers].map((subscriber): Connection => {
    const { identity, subscription, activity, group, openedMs } = subscriber;
    const { clientId, user, username } = identity;
    if (user !== undefined) users.add(user);
    const sharedMs = activity.kind === "live" ? group.lastWriteMs : 0;
    const isReading = activity.kind === "reading" && headSeq !== undefined;
    return {
      clientId,
      user,
      username,
      connectedSince: new Date(wallMs + openedMs),
      // The group's last write may be from before this one joined it.
      lastActivity: new Date(wallMs + Math.max(subscriber.lastWriteMs, sharedMs)),
      topics: subscription.topics,
      channels: [...subscription.channels],
      lag: isReading ? headSeq - activity.point.seq : 0,
    };
  });
  return { total: connections.length, activeUsers: users.size, connections };
}
