import { z } from "zod";
import { NOTIFICATION_KINDS, type NotificationKind } from "../../notifications/kinds.ts";
import { notificationBodyOf } from "../../notifications/notification-body.ts";
import { publishedEventSchema } from "../../publishing/published-event.ts";
import type { Operation } from "./operation.ts";

export const Event = publishedEventSchema;

export const Events = z
  .union([Event, z.array(Event).min(1)])
  .describe("One event, or several that are checked whole before any is published");

/** [CloudEvents JSON format 1.0.2 §3]; what is null counts as left out. Checked attribute by attribute, not with this. */
export const CloudEvent = z
  .looseObject({
    specversion: z.literal("1.0"),
    id: z.string().min(1),
    source: z.string().min(1),
    type: z.string().min(1).max(1024).describe("The event's type"),
    subject: z.string().min(1).nullish(),
    time: z.iso.datetime({ offset: true }).nullish(),
    datacontenttype: z.string().min(1).nullish(),
    dataschema: z.string().min(1).nullish(),
    partitionkey: z.string().min(1).nullish().describe("The record's key"),
    data: z.unknown().optional(),
    data_base64: z.base64().nullish().describe("In place of `data`, for bytes"),
  })
  .describe("A CloudEvent. Other attributes are strings, booleans or integers of 32 bits");

export const CloudEvents = z.array(CloudEvent).min(1).describe("CloudEvents");

/** The body of each kind of notification, by the name of its schema. */
export const NOTIFICATIONS: ReadonlyMap<string, z.ZodType> = new Map(
  Object.keys(NOTIFICATION_KINDS).map((kind) => [
    `${pascalCase(kind)}Notification`,
    // The keys of the table are the kinds.
    notificationBodyOf(kind as NotificationKind),
  ]),
);

export const Notification = z
  .union([...NOTIFICATIONS.values()])
  .describe("A notification; which of these it must be, its kind in the path says");

const order = { topic: "orders", type: "order.created", key: "o-1", data: { total: 12.5 } };
const attributes = {
  specversion: "1.0",
  id: "A234-1234-1234",
  source: "/shop/till-7",
  type: "com.example.order.created",
};

/** The body of `POST /events`. */
export const PUBLISH_BODY: NonNullable<Operation["body"]> = {
  description:
    "Events in JSON, one a line, as CloudEvents, or, with `ce-*` headers, the data of one CloudEvent in binary mode, of any type.",
  content: {
    "application/json": {
      schema: "Events",
      examples: {
        one: { dataValue: order },
        several: {
          dataValue: [order, { data: "for one user", to: { user: "ann" }, headers: { a: "b" } }],
        },
      },
    },
    "application/x-ndjson": {
      itemSchema: "Event",
      examples: { lines: { serializedValue: `${JSON.stringify(order)}\n{"data":2}\n` } },
    },
    "application/cloudevents+json": {
      schema: "CloudEvent",
      examples: { one: { dataValue: { ...attributes, data: { total: 12.5 } } } },
    },
    "application/cloudevents-batch+json": {
      schema: "CloudEvents",
      examples: {
        bytes: {
          dataValue: [{ ...attributes, datacontenttype: "image/png", data_base64: "AAEC" }],
        },
      },
    },
    "*/*": { examples: { text: { serializedValue: "12.5" } } },
  },
};

/** The body of `POST /notifications/{kind}`. */
export const NOTIFICATION_BODY: NonNullable<Operation["body"]> = {
  description: "A notification of the kind in the path.",
  content: {
    "application/json": {
      schema: "Notification",
      examples: {
        payment: {
          dataValue: {
            id: "p-1",
            status: "completed",
            details: { amount: 12.5, currency: "EUR" },
            target: "user",
            targetId: "ann",
          },
        },
      },
    },
  },
};

function pascalCase(words: string): string {
  return words.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
