import { HeadgateError } from "../errors.ts";
import type { NotificationArguments } from "./arguments.ts";
import { NOTIFICATION_KINDS, type NotificationKind } from "./kinds.ts";
import { type NotificationEvent, toEvent } from "./notification.ts";

/** `send…Notification` of every kind: `sendUserAccountNotification` for `user-account`. */
export type NotificationSenders<R> = {
  readonly [K in NotificationKind as SenderName<K>]: (
    ...notification: NotificationArguments<K>
  ) => Promise<R>;
};

type SenderName<K extends string> = `send${Pascal<K>}Notification`;

type Pascal<T extends string> = T extends `${infer Word}-${infer Rest}`
  ? `${Capitalize<Word>}${Pascal<Rest>}`
  : Capitalize<T>;

/**
 * A sender for every kind of notification, each of which resolves with what `publish` does. They
 * reject with the HeadgateError of `toEvent`, or with what `publish` rejects with.
 */
export function createNotificationSenders<R>(
  publish: (event: NotificationEvent) => Promise<R>,
): NotificationSenders<R> {
  const senders = Object.keys(NOTIFICATION_KINDS).map((kind) => [
    senderName(kind),
    async (...notification: NotificationArguments<NotificationKind>): Promise<R> => {
      const [id, status, details, target, targetId, metadata] = notification;
      const body = { id, status, details, target, targetId, metadata };
      return publish(toEvent(kind, toJson(body)));
    },
  ]);
  // The names are made by the rule that their type spells; `toEvent` checks what is passed.
  return Object.fromEntries(senders) as NotificationSenders<R>;
}

function senderName(kind: string): string {
  const words = kind.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `send${words.join("")}Notification`;
}

/** A copy of a value of code as JSON has it: no `toJSON`, `Date` or `NaN` is left in it. */
function toJson(body: object): unknown {
  try {
    return JSON.parse(JSON.stringify(body));
  } catch (cause) {
    throw new HeadgateError(
      "invalid-body",
      "The notification cannot be written as JSON: it holds a BigInt, or itself",
      { pointer: "", cause },
    );
  }
}
