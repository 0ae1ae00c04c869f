import { hostname } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import type { Aggregation } from "./aggregate/aggregation.ts";
import type { Aggregator } from "./aggregate/aggregator.ts";
import type { Config } from "./config.ts";
import { Dashboard } from "./dashboard/dashboard.ts";
import type { DashboardSource } from "./dashboard/dashboard-data.ts";
import { DashboardUpdates } from "./dashboard/dashboard-updates.ts";
import { createSanitizer } from "./dashboard/sanitizer.ts";
import type { HttpContext } from "./http/context.ts";
import type { Hub } from "./hub/hub.ts";
import { type Logger, recentTroubles } from "./logger.ts";
import { type Metrics, watchEventLoop } from "./metrics.ts";
import type { OpenSource } from "./sources/source.ts";

interface WatchOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly hub: Hub;
  readonly source: OpenSource;
  /** Undefined as long as there is no log. */
  readonly aggregator: () => Aggregator | undefined;
  /** Makes the application's sections of the dashboard. */
  readonly dashboardSource: DashboardSource | undefined;
}

/** What shows how all of it is: the gauges of the metrics, the status, and the dashboard. */
export function watch({
  config,
  logger,
  metrics,
  hub,
  source,
  aggregator,
  dashboardSource,
}: WatchOptions): Disposable & Pick<HttpContext, "missing" | "kafkaStatus" | "dashboard"> {
  const { streams, watching, topics } = config;
  metrics.observe({
    isReady: () => hub.source !== undefined && !hub.isDraining && source.missing().length === 0,
    activities: () => hub.activities(),
    log: () => hub.source?.log,
    partitions: () => source.status().consumer.partitions,
    aggregationLag: () => aggregator()?.lag() ?? 0,
  });
  const { isSanitized, updateIntervalMs } = watching;
  const names = hostsAndGroups(config);
  const sanitizer = createSanitizer({ isSanitized, names, shown: config.heldTopics });
  const aggregation = async (): Promise<Aggregation | null> =>
    (await aggregator()?.current()) ?? null;
  const dashboardLogger = logger.child({ part: "dashboard" });
  const held = new DisposableStack();
  held.use(watchEventLoop(metrics));
  const dashboard: Dashboard = held.use(
    new Dashboard({
      metrics,
      logger: dashboardLogger,
      sanitizer,
      activities: () => hub.activities(),
      activeUsers: () => hub.activeUsers,
      watchers: () => updates.size,
      isStopping: () => hub.isDraining,
      missing: source.missing,
      degraded: source.degraded,
      source: source.status,
      log: () => hub.source?.log,
      aggregation,
      aggregationLag: () => aggregator()?.lag() ?? null,
      topicSections: () => aggregator()?.sections() ?? {},
      applicationSource: dashboardSource,
      recentErrors: () => recentTroubles(logger),
      version: packageJson.version,
      topics,
      updateIntervalMs,
      isSanitized,
      host: hostname(),
    }),
  );
  const updates = held.use(
    new DashboardUpdates({
      ...streams,
      logger: dashboardLogger,
      metrics,
      snapshot: () => dashboard.newJson(),
      intervalMs: updateIntervalMs,
      maxAgeMs: streams.maxConnectionAgeMs,
    }),
  );
  return {
    missing: () => source.missing().map((reason) => sanitizer.text(reason)),
    kafkaStatus: async () => {
      const currentAggregation = await aggregation();
      const status = sanitizer.status(source.status());
      return { ...status, consumer: { ...status.consumer, currentAggregation } };
    },
    dashboard: {
      recentJson: () => dashboard.recentJson(),
      status: () => dashboard.status(),
      updates,
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** What must not be shown, also where it does not look like what it is. */
function hostsAndGroups({ kafka }: Config): string[] {
  if (!kafka) return [];
  const hosts = kafka.brokers.map((broker) => broker.replace(/:\d+$/, ""));
  return [...hosts, hostname(), kafka.groupId];
}
