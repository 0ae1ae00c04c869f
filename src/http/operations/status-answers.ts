import { z } from "zod";
import type { Aggregation, FieldFigures, WindowFigures } from "../../aggregate/aggregation.ts";
import type { ServerStatus } from "../../dashboard/dashboard.ts";
import type { KafkaStatus } from "../context.ts";

const count = z.int().min(0);
const timestamp = z.number().describe("Milliseconds since 1970");
const counts = z.record(z.string(), count);
const rates = z.record(z.string(), z.number());

export const FieldState = z.strictObject({
  count,
  min: z.number(),
  max: z.number(),
  mean: z.number(),
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
}) satisfies z.ZodType<FieldFigures>;

const Window = z.strictObject({
  count,
  ratePerSecond: z.number(),
  byTopic: counts,
  byType: counts.describe("The most frequent types, and other"),
  ratesByTopic: rates,
  ratesByType: rates,
  truncated: z
    .boolean()
    .describe("There were more types than are kept: counts by type are lower bounds"),
  fields: z.record(z.string(), FieldState).describe("By path of AGGREGATE_FIELDS"),
}) satisfies z.ZodType<WindowFigures>;

const CurrentAggregation = z
  .strictObject({
    updatedAt: timestamp,
    since: timestamp.describe("From when on everything is counted"),
    late: count.describe("Older than the longest window when they came"),
    future: count.describe("Dated after they came"),
    windows: z.strictObject({ "10s": Window, "1m": Window, "5m": Window, "1h": Window }),
  })
  .describe("What has come in the time just past") satisfies z.ZodType<Aggregation>;

export const KafkaState = z
  .strictObject({
    mode: z.enum(["kafka", "embedded"]),
    stale: z.literal(true).exactOptional().describe("Kafka does not answer"),
    asOf: timestamp.exactOptional(),
    producer: z.strictObject({ connected: z.boolean() }),
    consumer: z.strictObject({
      connected: z.boolean(),
      groupId: z.string().nullable(),
      lastError: z.string().exactOptional(),
      partitions: z.array(
        z.strictObject({
          topic: z.string(),
          partition: count,
          offset: count.describe("Read next"),
          highWatermark: count,
          lag: count,
          lastError: z.string().exactOptional().describe("Why it cannot be read now"),
          staleSince: timestamp.exactOptional(),
        }),
      ),
      currentAggregation: CurrentAggregation.nullable(),
    }),
  })
  .describe(
    "How the server and Kafka, or the embedded log, get on",
  ) satisfies z.ZodType<KafkaStatus>;

const ServerState = z.strictObject({
  isRunning: z.boolean().describe("false once the server drains"),
  connectedClients: count.describe("Open streams, of events and of the dashboard"),
  activeUsers: count,
  eventsSent: count,
  uptime: count.describe("Seconds since the start"),
}) satisfies z.ZodType<ServerStatus>;

export const StatusAnswer = z
  .strictObject({ success: z.literal(true), data: ServerState })
  .describe("How many are connected, and what they got");
