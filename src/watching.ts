import { hostname } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import type { Aggregation } from "./aggregate/aggregation.ts";
import type { Aggregator } from "./aggregate/aggregator.ts";
import type { Config } from "./config.ts";
import { Dashboard } from "./dashboard/dashboard.ts";
import type { DashboardSource } from "./dashboard/dashboard-data.ts";
import { createSanitizer } from "./dashboard/sanitizer.ts";
import type { Backend } from "./http/context.ts";
import type { ReadableLog } from "./log/readable-log.ts";
import { type Logger, recentTroubles } from "./logger.ts";
import { type Metrics, watchEventLoop } from "./metrics.ts";
import type { Front } from "./serving/front.ts";
import type { OpenSource } from "./sources/source.ts";

interface WatchOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly front: Front;
  readonly source: OpenSource;
  /** Undefined as long as the server is not ready. */
  readonly log: () => ReadableLog | undefined;
  /** The same. */
  readonly aggregator: () => Aggregator | undefined;
  /** Makes the application's sections of the dashboard. */
  readonly dashboardSource: DashboardSource | undefined;
}

/** What shows how all of it is: the gauges of the metrics, the status, and the dashboard. */
export function watch({
  config,
  logger,
  metrics,
  front,
  source,
  log,
  aggregator,
  dashboardSource,
}: WatchOptions): Disposable & Pick<Backend, "missing" | "kafkaStatus" | "dashboard"> {
  const { watching, topics } = config;
  metrics.observe({
    isReady: () => log() !== undefined && !front.isDraining && source.missing().length === 0,
    log,
    partitions: () => source.status().consumer.partitions,
    aggregationLag: () => aggregator()?.lag() ?? 0,
  });
  const { isSanitized, updateIntervalMs } = watching;
  const names = hostsAndGroups(config);
  const sanitizer = createSanitizer({ isSanitized, names, shown: config.heldTopics });
  const aggregation = async (): Promise<Aggregation | null> =>
    (await aggregator()?.current()) ?? null;
  const held = new DisposableStack();
  held.use(watchEventLoop(metrics));
  const dashboard: Dashboard = held.use(
    new Dashboard({
      registry: () => front.registry(),
      logger: logger.child({ part: "dashboard" }),
      sanitizer,
      streams: front,
      missing: source.missing,
      degraded: source.degraded,
      source: source.status,
      log,
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
  return {
    missing: () => source.missing().map((reason) => sanitizer.text(reason)),
    kafkaStatus: async () => {
      const currentAggregation = await aggregation();
      const status = sanitizer.status(source.status());
      return { ...status, consumer: { ...status.consumer, currentAggregation } };
    },
    dashboard: {
      recentJson: () => dashboard.recentJson(),
      newJson: () => dashboard.newJson(),
      status: () => dashboard.status(),
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
