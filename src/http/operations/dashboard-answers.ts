import { z } from "zod";
import type { DashboardData, SubsystemName } from "../../dashboard/dashboard-data.ts";
import { FieldState } from "./status-answers.ts";
import { CloseData, jsonText } from "./stream-items.ts";

const count = z.int().nonnegative();
const timestamp = z.number().describe("Milliseconds since 1970");
const milliseconds = z.number().nonnegative();
const counts = z.record(z.string(), count);
const rate = z.number().nonnegative();

const Finding = z.strictObject({ rule: z.string(), message: z.string(), since: timestamp });

const Subsystem = z.strictObject({
  status: z.enum(["ok", "degraded", "down", "off"]),
  message: z.string().exactOptional(),
});

const SUBSYSTEMS: { readonly [S in SubsystemName]: typeof Subsystem } = {
  http: Subsystem,
  streams: Subsystem,
  log: Subsystem,
  feed: Subsystem,
  publisher: Subsystem,
  aggregation: Subsystem,
  dashboard: Subsystem,
};

const Performance = z.strictObject({
  healthScore: z.int().min(0).max(100).describe("100: nothing is wrong; 0: it does not serve"),
  reasons: z
    .array(z.strictObject({ rule: z.string(), points: count, message: z.string() }))
    .describe("What is taken off the score"),
  activeAnomalies: count,
  activeAlerts: count,
  anomalies: z.array(Finding).describe("What is unlike the time just past"),
  alerts: z.array(Finding).describe("What somebody must see to"),
  subsystems: z.strictObject(SUBSYSTEMS),
});

const Traffic = z.strictObject({
  connections: z.strictObject({
    open: count,
    byState: z.strictObject({ starting: count, behind: count, live: count, dashboard: count }),
    opened: count,
    closed: counts.describe("By reason"),
    shed: counts.describe("By reason"),
    activeUsers: count,
  }),
  perSecond: z
    .strictObject({ arrived: rate, published: rate, sent: rate, bytes: rate })
    .describe("Over the last ten seconds"),
  totals: z
    .strictObject({ published: count, sent: count, bytes: count, skipped: count })
    .describe("Since the start"),
  latencyMs: z
    .strictObject({ p50: milliseconds, p95: milliseconds, p99: milliseconds })
    .nullable()
    .describe(
      "From record timestamp to socket write over the last minute; null: nothing was written",
    ),
  lag: z.strictObject({ records: count, byTopic: counts }),
  recent: z
    .array(
      z.strictObject({
        timestamp,
        arrived: count,
        sent: count,
        bytes: count,
        connections: count,
        latencyP50: milliseconds.nullable(),
        latencyP99: milliseconds.nullable(),
      }),
    )
    .max(120)
    .describe("One a second, oldest first"),
});

const Window = z.strictObject({
  count,
  ratePerSecond: rate,
  byTopic: counts,
  byType: counts.describe("The 20 most frequent types, and other"),
  truncated: z.boolean().describe("Counts by type are lower bounds"),
  fields: z.record(z.string(), FieldState),
});

export const DashboardState = z
  .looseObject({
    timestamp,
    performance: Performance,
    traffic: Traffic,
    aggregation: z
      .strictObject({
        updatedAt: timestamp,
        since: timestamp,
        windows: z.strictObject({ "10s": Window, "1m": Window, "5m": Window, "1h": Window }),
      })
      .nullable(),
    memory: z.strictObject({
      rssBytes: count,
      heapBytes: count,
      logBytes: count,
      logRows: count,
    }),
    errors: z
      .array(
        z.strictObject({
          level: z.enum(["warn", "error", "fatal"]),
          message: z.string(),
          timestamp,
          count,
        }),
      )
      .describe("The last of the server's log, newest first"),
    metadata: z.strictObject({
      uptime: milliseconds.describe("Milliseconds since the start"),
      version: z.string(),
      mode: z.enum(["kafka", "embedded"]),
      topics: z.array(z.string()),
      updateIntervalMs: count,
      sanitized: z.boolean(),
      host: z.string().exactOptional().describe("Left out where sanitized"),
      groupId: z.string().exactOptional().describe("Left out where sanitized"),
    }),
  })
  .describe(
    "How the server is; beside these members lie the application's sections",
  ) satisfies z.ZodType<DashboardData>;

export const DashboardAnswer = z
  .strictObject({ success: z.literal(true), data: DashboardState, timestamp })
  .describe("The dashboard, at most a second old");

/** What a native `EventSource` hands over, and what it keeps to itself (`retry`). */
export const DashboardItem = z
  .xor([
    z
      .strictObject({
        event: z.literal("dashboard-update"),
        id: z
          .string()
          .regex(/^[1-9]\d*$/)
          .describe("Counts from the server's start; no position"),
        data: jsonText({ name: "DashboardState", schema: DashboardState }),
      })
      .describe("The dashboard as it was a moment ago."),
    z
      .strictObject({ event: z.literal("heartbeat"), data: z.literal("") })
      .describe("Nothing else came for a while."),
    z
      .strictObject({
        event: z.literal("close"),
        data: jsonText({ name: "CloseData", schema: CloseData }),
      })
      .describe("Last, before the server ends the stream."),
    z
      .strictObject({ retry: z.int().nonnegative() })
      .describe("After how many milliseconds to come back."),
  ])
  .describe("A Server-Sent Event of the dashboard");
