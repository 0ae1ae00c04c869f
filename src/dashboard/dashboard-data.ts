import type { FieldFigures, WindowName } from "../aggregate/aggregation.ts";

/** The application's own parts of the dashboard, by name: anything that JSON can hold. */
export type Sections = Readonly<Record<string, unknown>>;

/** Called once for each update. It may take its time, or throw: the sections then stay as they were, and an alert says so. */
export type DashboardSource = () => Sections | Promise<Sections>;

/** How the server is, at one moment (protocol.md §8). Sections of the application lie beside these members. */
export interface DashboardData {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly performance: Performance;
  readonly traffic: Traffic;
  /** What has come in the time just past; null: the log is not there yet. */
  readonly aggregation: DashboardAggregation | null;
  readonly memory: Memory;
  /** The last warnings and errors of the server's log, newest first: fixed messages, no values. */
  readonly errors: readonly RecentError[];
  readonly metadata: Metadata;
}

export interface Performance {
  /** 100: nothing is wrong; 0: it does not serve. What is taken off is in `reasons`. */
  readonly healthScore: number;
  readonly reasons: readonly {
    readonly rule: string;
    readonly points: number;
    readonly message: string;
  }[];
  readonly activeAnomalies: number;
  readonly activeAlerts: number;
  /** What is unlike the time just past. */
  readonly anomalies: readonly Finding[];
  /** What somebody must see to. */
  readonly alerts: readonly Finding[];
  readonly subsystems: Readonly<Record<SubsystemName, Subsystem>>;
}

/** A rule that holds now. */
export interface Finding {
  readonly rule: string;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

export type SubsystemName =
  | "http"
  | "streams"
  | "log"
  | "feed"
  | "publisher"
  | "aggregation"
  | "dashboard";

export interface Subsystem {
  /** `off`: not used in this configuration. */
  readonly status: "ok" | "degraded" | "down" | "off";
  readonly message?: string;
}

export interface Traffic {
  readonly connections: {
    /** Open streams, of events and of the dashboard. */
    readonly open: number;
    readonly byState: {
      /** Their start is not known yet. */
      readonly starting: number;
      /** They read what they missed. */
      readonly behind: number;
      readonly live: number;
      readonly dashboard: number;
    };
    readonly opened: number;
    /** Ended, by reason. */
    readonly closed: Readonly<Record<string, number>>;
    /** Turned away, by reason. */
    readonly shed: Readonly<Record<string, number>>;
    readonly activeUsers: number;
  };
  /** Over the last ten seconds, a second. */
  readonly perSecond: {
    /** Records that came into the log. */
    readonly arrived: number;
    readonly published: number;
    /** Events written to subscribers. */
    readonly sent: number;
    readonly bytes: number;
  };
  /** Since the start. */
  readonly totals: {
    readonly published: number;
    readonly sent: number;
    readonly bytes: number;
    readonly skipped: number;
  };
  /** From record timestamp to socket write, in milliseconds, over the last minute; null: nothing was written. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  /** What Kafka has and the log has not; 0 without Kafka. */
  readonly lag: { readonly records: number; readonly byTopic: Readonly<Record<string, number>> };
  /** One a second, oldest first, of the last two minutes. */
  readonly recent: readonly Sample[];
}

/** One second. */
export interface Sample {
  /** Its end, in milliseconds since 1970. */
  readonly timestamp: number;
  readonly arrived: number;
  readonly sent: number;
  readonly bytes: number;
  readonly connections: number;
  /** Milliseconds; null where nothing was written. */
  readonly latencyP50: number | null;
  readonly latencyP99: number | null;
}

/** The aggregation of `GET /kafka/status`, without its long tail. */
export interface DashboardAggregation {
  /** Milliseconds since 1970. */
  readonly updatedAt: number;
  /** A window that begins before it is not full yet. */
  readonly since: number;
  readonly windows: Readonly<Record<WindowName, DashboardWindow>>;
}

export interface DashboardWindow {
  readonly count: number;
  readonly ratePerSecond: number;
  readonly byTopic: Readonly<Record<string, number>>;
  /** The 20 most frequent types, and `other`; together they are `count`. */
  readonly byType: Readonly<Record<string, number>>;
  /** Types were more than are kept: their counts are lower bounds. */
  readonly truncated: boolean;
  readonly fields: Readonly<Record<string, FieldFigures>>;
}

export interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly logBytes: number;
  readonly logRows: number;
}

export interface RecentError {
  readonly level: "warn" | "error" | "fatal";
  readonly message: string;
  /** When it was last written, in milliseconds since 1970. */
  readonly timestamp: number;
  /** How often, of those that are remembered. */
  readonly count: number;
}

export interface Metadata {
  /** Milliseconds since the start. */
  readonly uptime: number;
  readonly version: string;
  readonly mode: "kafka" | "embedded";
  readonly topics: readonly string[];
  readonly updateIntervalMs: number;
  /** Without hosts, groups and users. */
  readonly sanitized: boolean;
  /** Left out where `sanitized`. */
  readonly host?: string;
  readonly groupId?: string;
}
