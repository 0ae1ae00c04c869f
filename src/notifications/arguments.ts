import type { NotificationDetails, NotificationKind, NotificationStatus } from "./kinds.ts";

export const NOTIFICATION_TARGETS = ["user", "channel", "client", "all"] as const;

/** Whom a notification is for: one of these by its id, or `all`. */
export type NotificationTarget = (typeof NOTIFICATION_TARGETS)[number];

/** What a notification of one kind says, to whom, in the order in which senders take it. */
export type NotificationArguments<K extends NotificationKind> = [
  id: string,
  status: NotificationStatus<K>,
  details: NotificationDetails<K>,
  target: NotificationTarget,
  /** Of the user, channel or client; left out for `all`. */
  targetId?: string,
  /** Travels as record headers. */
  metadata?: Readonly<Record<string, string>>,
];
