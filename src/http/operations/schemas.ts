import type { z } from "zod";
import {
  Envelope,
  Explained,
  Health,
  Index,
  MetricsText,
  OpenApiDocument,
  Position,
  Published,
  Ready,
  Recent,
  ResetReasonName,
  SkippedData,
  Unready,
} from "./answers.ts";
import { CloudEvent, CloudEvents, Event, Events, Notification, NOTIFICATIONS } from "./bodies.ts";
import { Problem } from "./problems.ts";
import { DashboardAnswer, DashboardItem, DashboardState } from "./dashboard-answers.ts";
import { KafkaState, StatusAnswer } from "./status-answers.ts";
import {
  CloseData,
  ConnectionData,
  LiveData,
  ResetData,
  StreamItem,
  StreamLine,
} from "./stream-items.ts";

/** The schemas by the names that they have under `components`. */
export const SCHEMAS = {
  Event,
  Events,
  CloudEvent,
  CloudEvents,
  Notification,
  Published,
  StreamItem,
  StreamLine,
  ConnectionData,
  ResetData,
  LiveData,
  SkippedData,
  CloseData,
  Position,
  ResetReason: ResetReasonName,
  Envelope,
  Recent,
  Explained,
  Index,
  Health,
  Ready,
  Unready,
  KafkaState,
  StatusAnswer,
  DashboardState,
  DashboardAnswer,
  DashboardItem,
  MetricsText,
  OpenApiDocument,
  Problem,
} as const satisfies Record<string, z.ZodType>;

export type SchemaName = keyof typeof SCHEMAS;

/** All of them, with those that others are made of. */
export const ALL_SCHEMAS: ReadonlyMap<string, z.ZodType> = new Map([
  ...Object.entries<z.ZodType>(SCHEMAS),
  ...NOTIFICATIONS,
]);
