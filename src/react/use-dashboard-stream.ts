import type { HeldOptions } from "./held-options.ts";
import { useLatestEvent } from "./latest-event.ts";
import { useHeldStream, useStreamState } from "./use-held-stream.ts";

/** How the server is, and beside it the sections of its application (docs/protocol.md, section 8). */
export type DashboardData<Sections = Readonly<Record<string, unknown>>> = ServerData & Sections;

interface ServerData {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly performance: {
    /** 100: nothing is wrong; 0: it does not serve. */
    readonly healthScore: number;
    readonly activeAnomalies: number;
    readonly activeAlerts: number;
    readonly subsystems: Readonly<
      Record<string, { readonly status: string; readonly message?: string }>
    >;
  };
  readonly traffic: Readonly<Record<string, unknown>>;
  /** `uptime`: milliseconds. */
  readonly metadata: { readonly uptime: number };
}

export type UseDashboardStreamOptions = Pick<
  HeldOptions,
  "url" | "token" | "withCredentials" | "fetch" | "pauseWhenHidden" | "connect"
>;

export interface UseDashboardStreamResult<Data> {
  /** The newest update; undefined before the first. Who reads it is rendered for each. */
  readonly data: Data | undefined;
  readonly connected: boolean;
}

/** The dashboard as the server streams it. `Sections` are the application's own. */
export function useDashboardStream<Sections = Readonly<Record<string, unknown>>>(
  options: UseDashboardStreamOptions = {},
): UseDashboardStreamResult<DashboardData<Sections>> {
  const latest = useLatestEvent(options.url);
  const held = useHeldStream({
    ...options,
    path: "/stream/dashboard",
    onEvent: (event) => {
      if (event.type === "dashboard-update") latest.take(event);
    },
  });
  const { status } = useStreamState(held);
  return {
    connected: status === "open",
    get data() {
      // As the protocol promises it, and the application its sections.
      return latest.read()?.data as DashboardData<Sections> | undefined;
    },
  };
}
