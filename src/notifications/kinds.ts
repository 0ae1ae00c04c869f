import { z } from "zod";

/** What one kind of notification is made of. */
export interface KindEntry {
  /** What the id is called in the event's data. */
  readonly idField: string;
  /** The closed set of what can be said. */
  readonly statuses: readonly [string, ...string[]];
  /** The details that are known; others may be there. */
  readonly details: z.ZodObject;
}

/** Nothing but what browsers follow as a link: a `javascript:` URL would run where a page shows it. */
const webUrl = z.url({ protocol: /^https?$/ });
const count = z.int().nonnegative();

/**
 * Every kind of notification, by its name in URLs and in event types. A further kind is one more
 * entry: its schema, its route, its sender and their types follow from it.
 */
export const NOTIFICATION_KINDS = {
  payment: {
    idField: "paymentId",
    statuses: ["pending", "completed", "failed", "refunded"],
    details: details({
      amount: z.number(),
      // [ISO 4217] alphabetic code; which codes are in use changes, so only the form is checked.
      currency: z.string().regex(/^[A-Za-z]{3}$/, "use the three letters of a currency, as in EUR"),
      customerId: z.string(),
      orderId: z.string(),
    }),
  },
  "user-account": {
    idField: "userId",
    statuses: ["created", "updated", "deleted", "verified", "suspended"],
    details: details({
      email: z.email({ pattern: z.regexes.unicodeEmail }),
      username: z.string(),
    }),
  },
  "system-health": {
    idField: "component",
    statuses: ["healthy", "warning", "critical"],
    details: details({
      message: z.string(),
      metrics: z.record(z.string(), z.union([z.number(), z.string()], "use numbers or texts")),
    }),
  },
  "video-processing": {
    idField: "videoId",
    statuses: ["queued", "processing", "completed", "failed"],
    details: details({
      title: z.string(),
      duration: z.number().nonnegative(),
      quality: z.string(),
    }),
  },
  "data-export": {
    idField: "exportId",
    statuses: ["queued", "processing", "completed", "failed"],
    details: details({
      format: z.string(),
      recordCount: count,
      fileSize: count,
      downloadUrl: webUrl,
    }),
  },
  "post-update": {
    idField: "postId",
    statuses: ["created", "updated", "published", "deleted"],
    details: details({ title: z.string(), author: z.string(), category: z.string() }),
  },
  "profile-update": {
    idField: "userId",
    statuses: ["updated", "avatar_changed"],
    details: details({ username: z.string(), avatarUrl: webUrl }),
  },
  job: {
    idField: "job",
    statuses: ["queued", "started", "completed", "failed"],
    details: details({}),
  },
} as const satisfies Readonly<Record<string, KindEntry>>;

export type NotificationKind = keyof typeof NOTIFICATION_KINDS;
export type NotificationStatus<K extends NotificationKind> =
  (typeof NOTIFICATION_KINDS)[K]["statuses"][number];
export type NotificationDetails<K extends NotificationKind> = z.input<
  (typeof NOTIFICATION_KINDS)[K]["details"]
>;

/** Known fields may be missing, and fields that are not known are let through as they are. */
function details<T extends z.ZodRawShape>(shape: T) {
  return z.looseObject(shape).partial();
}
