import { z } from "zod";
import { NOTIFICATION_KINDS } from "../../notifications/kinds.ts";
import { MAX_ID_BYTES } from "../../log/position.ts";

/** A header, or a part of the path, for the documentation: what reads it checks it by its own rules. */
interface RequestPart {
  readonly description: string;
  readonly schema: z.ZodType;
  readonly example: string | number;
}

const attribute = z.string().min(1);

export const REQUEST_HEADERS = {
  "Last-Event-ID": {
    description: "Where to go on; browsers send it by themselves. It beats `since` and `recent`.",
    schema: z.string().max(MAX_ID_BYTES),
    example: "1~orders~k3f9x~1042.998",
  },
  "Idempotency-Key": {
    description:
      "Repeated within DATA_RETENTION, on any instance, the first one's coordinates come back, and no subscriber sees the events twice.",
    schema: z.string().regex(/^[\x20-\x7E]{1,128}$/),
    example: "8e03978e-40d5-43e8-bc93-6894a57f9324",
  },
  "ce-specversion": {
    description: "With it and the other `ce-*` headers the body is the data of one CloudEvent.",
    schema: z.literal("1.0"),
    example: "1.0",
  },
  "ce-id": { description: "CloudEvents: the id.", schema: attribute, example: "A234-1234-1234" },
  "ce-source": {
    description: "CloudEvents: where it happened.",
    schema: attribute,
    example: "/shop/till-7",
  },
  "ce-type": {
    description: "CloudEvents: what happened; the event's type.",
    schema: attribute.max(1024),
    example: "com.example.order.created",
  },
  "ce-subject": { description: "CloudEvents: to what.", schema: attribute, example: "o-1" },
  "ce-time": {
    description: "CloudEvents: when.",
    schema: z.iso.datetime({ offset: true }),
    example: "2026-11-21T14:00:00Z",
  },
  "ce-dataschema": {
    description: "CloudEvents: what the data holds.",
    schema: attribute,
    example: "https://schemas.example/order",
  },
  "ce-partitionkey": {
    description: "CloudEvents, extension Partitioning: the record's key.",
    schema: attribute,
    example: "o-1",
  },
  traceparent: {
    description: "W3C Trace Context: goes into the records' headers.",
    schema: z.string(),
    example: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  },
  tracestate: {
    description: "W3C Trace Context: goes with `traceparent`.",
    schema: z.string().max(512),
    example: "vendor=value",
  },
} as const satisfies Record<string, RequestPart>;

export type HeaderName = keyof typeof REQUEST_HEADERS;

/** What stands in braces in paths. */
export const PATH_PARAMETERS: Readonly<Record<string, RequestPart>> = {
  topic: {
    description: "A topic that is served.",
    schema: z.string().regex(/^[A-Za-z0-9._-]{1,249}$/),
    example: "orders",
  },
  partition: { description: "A partition.", schema: z.int().nonnegative(), example: 0 },
  offset: { description: "An offset within it.", schema: z.int().nonnegative(), example: 0 },
  kind: {
    description: "What the notification is about.",
    schema: z.enum(Object.keys(NOTIFICATION_KINDS)),
    example: "payment",
  },
};
