import { HeadgateError, quote } from "../errors.ts";
import { NOTIFICATION_KINDS, type NotificationKind } from "./kinds.ts";
import { parseNotificationBody } from "./notification-body.ts";

/** A notification as it is published: an event as in `POST /events`. */
export interface NotificationEvent {
  /** `<kind>:<status>`. */
  readonly type: string;
  /** The id: what is said of one thing stays in order, and the last of it is its state. */
  readonly key: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Left out where it is for all. */
  readonly to?: Readonly<Record<string, string>>;
}

/**
 * The event that a notification becomes. `body` is what `JSON.parse` gave, from whomever;
 * `notificationBodyOf(kind)` describes what it should be. `now` is its timestamp.
 * @throws HeadgateError `endpoint-not-found` for a kind that does not exist; `invalid-body`, or
 * `invalid-event` for what no record can carry, with a JSON pointer into the body.
 */
export function toEvent(kind: string, body: unknown, now = new Date()): NotificationEvent {
  if (!isNotificationKind(kind)) {
    const kinds = Object.keys(NOTIFICATION_KINDS).join(", ");
    throw new HeadgateError(
      "endpoint-not-found",
      `There is no kind of notification ${quote(kind)}; there are ${kinds}`,
    );
  }
  const { id, status, details, target, targetId, metadata } = parseNotificationBody(kind, body);
  const said = { [NOTIFICATION_KINDS[kind].idField]: id, status };
  return {
    type: `${kind}:${status}`,
    key: id,
    // Twice: it comes first, and no detail takes its place.
    data: { ...said, ...details, ...said, timestamp: now.toISOString() },
    ...(metadata && { headers: metadata }),
    ...(targetId !== undefined && { to: { [target]: targetId } }),
  };
}

function isNotificationKind(kind: string): kind is NotificationKind {
  return Object.hasOwn(NOTIFICATION_KINDS, kind);
}
