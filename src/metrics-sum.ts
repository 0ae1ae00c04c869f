import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from "prom-client";
import type { Metrics } from "./metrics.ts";

/** The metrics of one process, as they travel to another. */
export type MetricsJson = readonly MetricObjectWithValues<MetricValue<string>>[];

type Registry = Metrics["registry"];

/** The metrics of several processes as those of one: sums, but where a metric says otherwise. */
export function sumMetrics(processes: readonly MetricsJson[]): Registry {
  return AggregatorRegistry.aggregate(processes.map((metrics) => [...metrics]));
}

/** What is left of a process that has ended: what it counted must not be taken back. */
export function countedIn(metrics: MetricsJson): MetricsJson {
  // prom-client writes the types as words, whatever its declarations say.
  return metrics.filter(({ type }) => ["counter", "histogram"].includes(String(type)));
}
