"use client";

/** The package's entry for React 18 and 19. */
export { HeadgateProvider, useEvents, useHeadgate } from "./headgate-provider.ts";
export { useDashboardStream } from "./use-dashboard-stream.ts";
export { useEventSource } from "./use-event-source.ts";
export { useSSE } from "./use-sse.ts";
export type { EventHandler, EventNamed } from "./handlers.ts";
export type { HeadgateContext, HeadgateProviderProps } from "./headgate-provider.ts";
export type { HeldOptions } from "./held-options.ts";
export type { QueryClientLike, QueryKey } from "./query-invalidation.ts";
export type {
  DashboardData,
  UseDashboardStreamOptions,
  UseDashboardStreamResult,
} from "./use-dashboard-stream.ts";
export type { UseEventSourceOptions, UseEventSourceResult } from "./use-event-source.ts";
export type { UseSseOptions, UseSseResult } from "./use-sse.ts";
