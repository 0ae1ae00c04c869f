import { z } from "zod";
import type { CloseReason } from "../../hub/subscriber.ts";
import { Envelope, Position, ResetReasonName, SkippedData } from "./answers.ts";

// One item of an event stream, as a client has it once it is parsed: fields are strings, but for
// `retry`, which is a number [OpenAPI 3.2 §4.14, Special Considerations for Server-Sent Events].

const topics = z.array(z.string());

const CLOSE_REASONS: { readonly [R in CloseReason]: R } = {
  shutdown: "shutdown",
  "max-age": "max-age",
  "token-expired": "token-expired",
  overloaded: "overloaded",
  "too-many-connections": "too-many-connections",
};

export const ConnectionData = z.strictObject({
  clientId: z.string().describe("Where events that name this client go"),
  timestamp: z.iso.datetime(),
  message: z.string(),
  topics,
  resumed: z.boolean(),
});

export const ResetData = z.strictObject({
  reason: ResetReasonName,
  topics,
  requested: z.string().max(100).describe("The id that cannot be honoured, cut"),
  position: Position.describe("Where the stream goes on; the event's id too"),
});

export const LiveData = z.strictObject({ replayed: z.int().nonnegative() });

export const CloseData = z.strictObject({
  reason: z.enum(CLOSE_REASONS),
  reconnect: z.boolean().describe("Whether coming back makes sense"),
});

/** What the system events carry. `isAlwaysPlaced`: whether they always have an id. */
const SYSTEM_EVENTS = {
  connection: {
    description: "First in every stream. Without an id where a reset may still follow.",
    data: { name: "ConnectionData", schema: ConnectionData },
    isAlwaysPlaced: false,
  },
  reset: {
    description: "A position cannot be honoured; these topics go on elsewhere.",
    data: { name: "ResetData", schema: ResetData },
    isAlwaysPlaced: true,
  },
  live: {
    description: "Once: everything that was to be replayed has been.",
    data: { name: "LiveData", schema: LiveData },
    isAlwaysPlaced: true,
  },
  heartbeat: {
    description: "Nothing else came for a while; the id moves on.",
    data: undefined,
    isAlwaysPlaced: false,
  },
  skipped: {
    description: "A record cannot be shown; the partition goes on.",
    data: { name: "SkippedData", schema: SkippedData },
    isAlwaysPlaced: true,
  },
  close: {
    description: "Last, before the server ends the stream.",
    data: { name: "CloseData", schema: CloseData },
    isAlwaysPlaced: false,
  },
} as const satisfies Record<string, SystemEvent>;

interface SystemEvent {
  readonly description: string;
  /** Undefined: none. `name` is the schema's among the components. */
  readonly data: { readonly name: string; readonly schema: z.ZodType } | undefined;
  readonly isAlwaysPlaced: boolean;
}

const systemEvents: readonly (readonly [string, SystemEvent])[] = Object.entries(SYSTEM_EVENTS);
const systemNames = Object.keys(SYSTEM_EVENTS).join("|");

/** What a native `EventSource` hands over, and what it keeps to itself (`retry`). */
export const StreamItem = z
  .xor([
    ...systemEvents.map(([event, { description, data, isAlwaysPlaced }]) =>
      z
        .strictObject({
          event: z.literal(event),
          id: isAlwaysPlaced ? Position : Position.exactOptional(),
          data: data ? jsonText(data) : z.literal(""),
        })
        .describe(description),
    ),
    z
      .strictObject({
        event: z
          .string()
          .regex(new RegExp(`^(?!(?:${systemNames}|message)$)`))
          .exactOptional()
          .describe(
            "The record's type; `message` where it is left out. `delete` for a tombstone, `binary` for base64",
          ),
        id: Position.describe("The position after this event"),
        data: z
          .string()
          .describe(
            "The record's value; with `envelope=true` an Envelope as JSON; of a tombstone the key as JSON",
          ),
      })
      .describe("A record."),
    z
      .strictObject({ retry: z.int().nonnegative() })
      .describe(
        "After how many milliseconds to come back. Comes on its own, and dispatches nothing.",
      ),
  ])
  .describe("A Server-Sent Event");

/** A line of the same stream as JSON. */
export const StreamLine = z
  .xor([
    ...systemEvents.map(([event, { description, data, isAlwaysPlaced }]) =>
      z
        .strictObject({
          event: z.literal(event),
          id: isAlwaysPlaced ? Position : Position.exactOptional(),
          data: data?.schema ?? z.null(),
        })
        .describe(description),
    ),
    Envelope.extend({ id: Position.describe("The position after this event") }),
  ])
  .describe("A record, or a system event");

/** JSON in a string [JSON Schema Validation 2020-12 §8.5]: `contentSchema` says the same as the check. */
export function jsonText({ name, schema }: { name: string; schema: z.ZodType }): z.ZodString {
  return z
    .string()
    .refine((text) => isJsonOf(schema, text))
    .meta({
      contentMediaType: "application/json",
      contentSchema: { $ref: `#/components/schemas/${name}` },
    });
}

function isJsonOf(schema: z.ZodType, text: string): boolean {
  try {
    return schema.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}
