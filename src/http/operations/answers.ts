import { z } from "zod";
import type { Explanation } from "../../hub/explain.ts";
import type { ResetReason } from "../../hub/reset.ts";
import type { SkipReason, TimestampType } from "../../log/entry.ts";
import { MAX_ID_BYTES, MAX_PARTITIONS } from "../../log/position.ts";
import type { PublishResult } from "../../publishing/publishing.ts";

// What the server answers with, as `docs/protocol.md` has it. Nothing is checked with these where it
// runs: `test/openapi.test.ts` holds them against real answers, and the documentation is made of them.

/** All that a type names, as zod takes it; neither side can be left without the other. */
type Words<T extends string> = { readonly [W in T]: W };

const count = z.int().nonnegative();
const topic = z.string().min(1).max(249);

export const Position = z
  .string()
  .max(MAX_ID_BYTES)
  .regex(/^1(?:~[A-Za-z0-9._-]{1,249}~[a-z0-9]{1,8}~\d{1,16}(?:\.\d{1,16})*)+$/)
  .describe(
    "For every partition of the subscription's topics, the offset that is read next. Kept by a client and sent back as it is.",
  );

const RESET_REASONS: Words<ResetReason> = {
  malformed: "malformed",
  recreated: "recreated",
  expired: "expired",
  ahead: "ahead",
  lost: "lost",
  lagged: "lagged",
};

export const ResetReasonName = z
  .enum(RESET_REASONS)
  .describe("Why a position cannot be honoured, or is left");

const SKIP_REASONS: Words<SkipReason> = { "too-large": "too-large", undecodable: "undecodable" };

export const SkippedData = z
  .strictObject({ topic, partition: count, offset: count, reason: z.enum(SKIP_REASONS) })
  .describe("A record that cannot be shown");

const TIMESTAMP_TYPES: Words<TimestampType> = {
  create: "create",
  logappend: "logappend",
  unknown: "unknown",
};

const bytes = z.strictObject({ base64: z.base64() }).describe("Bytes that are not UTF-8");
const headerValue = z.union([z.string(), bytes, z.null()]);

/** A record as a JSON object, with kcat's keys. */
export const Envelope = z
  .strictObject({
    topic,
    partition: count,
    offset: count,
    tstype: z.enum(TIMESTAMP_TYPES),
    ts: z.int().describe("Milliseconds since 1970, by whom `tstype` names; -1 where there is none"),
    key: z.union([z.string(), bytes, z.null()]),
    headers: z
      .record(z.string(), z.union([headerValue, z.array(headerValue)]))
      .describe("By name; a list where a name repeats. `headgate-*` are left out"),
    payload: z
      .unknown()
      .describe("The value as JSON where it is JSON, else as a string; null for a tombstone"),
    encoding: z.literal("base64").exactOptional().describe("There where the payload is base64"),
    skipped: z
      .enum(["too-large", "undecodable"])
      .exactOptional()
      .describe("Why the record cannot be shown; then the payload is null"),
  })
  .describe("A record");

export const Recent = z
  .strictObject({
    events: z.array(Envelope).describe("Newest first"),
    truncated: z.boolean().describe("Whether more would have come, had there been room"),
  })
  .describe("The newest events");

export const Explained = z
  .strictObject({
    id: Position.describe("Where the stream would start, after all resets"),
    resumed: z.boolean().describe("Whether it would go on from the id that was given"),
    topics: z.array(
      z.strictObject({
        topic,
        partitions: count,
        start: z.array(count).max(MAX_PARTITIONS).describe("First offset of each partition"),
        reset: z.nullable(ResetReasonName),
      }),
    ),
    replay: z.strictObject({
      events: count,
      bytes: count,
      estimated: z.boolean().describe("Whether it was too long to be counted"),
    }),
  })
  .describe("What a stream would begin with") satisfies z.ZodType<Explanation>;

export const Published = z
  .strictObject({
    published: count,
    events: z
      .array(z.strictObject({ topic, partition: count, offset: count }))
      .describe("Where each event lies, in the order given"),
    receivers: count.describe("Subscribers of this instance that the events reach"),
    duplicate: z
      .literal(true)
      .exactOptional()
      .describe("There where the same Idempotency-Key had published these before"),
  })
  .describe("The events are durable") satisfies z.ZodType<PublishResult>;

export const Index = z
  .strictObject({
    name: z.literal("headgate"),
    endpoints: z.array(
      z.strictObject({
        path: z.string(),
        methods: z.array(z.enum(["GET", "POST"])),
        summary: z.string(),
      }),
    ),
  })
  .describe("The endpoints");

export const Health = z
  .strictObject({
    status: z.literal("ok"),
    timestamp: z.int().describe("Milliseconds since 1970"),
  })
  .describe("The process serves");

export const Ready = z
  .strictObject({
    status: z.literal("ready"),
    degraded: z.array(z.string()).min(1).exactOptional().describe("What works only in part"),
  })
  .describe("New streams should come here");

export const Unready = z
  .strictObject({ status: z.literal("unready"), missing: z.array(z.string()).min(1) })
  .describe("New streams should go elsewhere");

export const MetricsText = z.string().describe("Prometheus text");

export const OpenApiDocument = z
  .looseObject({ openapi: z.string().startsWith("3.2.") })
  .describe("This document");
