import { ANOMALY_RULES, type AnomalyRule } from "./anomalies.ts";
import type { Finding, Performance, Subsystem, SubsystemName } from "./dashboard-data.ts";
import type { Observation } from "./observation.ts";
import { HEALTH_RULES, type Rule } from "./rules.ts";

/** Judges what is seen by the rules, and remembers since when each of them holds. */
export class Judge {
  /** By rule, of which there are few. */
  readonly #since = new Map<string, number>();

  /** Looks at the server now. To be called once a second: `since` is as exact as that. */
  judge(seen: Observation): Performance {
    const health = holding(HEALTH_RULES, seen);
    const odd = holding(ANOMALY_RULES, seen);
    const names = new Set([...health, ...odd].map(({ rule }) => rule.name));
    for (const name of this.#since.keys()) if (!names.has(name)) this.#since.delete(name);
    const find = ({ rule: { name }, message }: Holding<AnomalyRule>): Finding => {
      const since = this.#since.get(name) ?? seen.nowMs;
      this.#since.set(name, since);
      return { rule: name, message, since };
    };
    const findings = health.map(find);
    const alerts = findings.filter((_, i) => health[i]?.rule.isAlert);
    const anomalies = odd.map(find);
    const lost = health.reduce((total, { rule }) => total + rule.points, 0);
    return {
      healthScore: Math.max(0, 100 - lost),
      reasons: health.map(({ rule: { name, points }, message }) => ({
        rule: name,
        points,
        message,
      })),
      activeAnomalies: anomalies.length,
      activeAlerts: alerts.length,
      anomalies,
      alerts,
      subsystems: subsystemsOf(seen, health),
    };
  }
}

/** A rule that holds, and what it says. */
interface Holding<R> {
  readonly rule: R;
  readonly message: string;
}

function holding<R extends AnomalyRule>(rules: readonly R[], seen: Observation): Holding<R>[] {
  return rules.flatMap((rule) => {
    const message = rule.check(seen);
    return message === undefined ? [] : [{ rule, message }];
  });
}

/** Its file is named after the cluster, which has not answered yet. */
const NO_LOG: Subsystem = { status: "down", message: "There is no log before Kafka has answered" };

function subsystemsOf(
  { source, aggregationLag }: Observation,
  health: readonly Holding<Rule>[],
): Record<SubsystemName, Subsystem> {
  const statusOf = (name: SubsystemName): Subsystem => {
    const own = health.filter(({ rule }) => rule.subsystem === name);
    const worst = own.find(({ rule }) => rule.isDown) ?? own[0];
    if (!worst) return { status: "ok" };
    return { status: worst.rule.isDown ? "down" : "degraded", message: worst.message };
  };
  const hasLog = aggregationLag !== null;
  return {
    http: statusOf("http"),
    streams: statusOf("streams"),
    log: hasLog ? statusOf("log") : NO_LOG,
    feed: source.mode === "kafka" ? statusOf("feed") : { status: "off", message: "Without Kafka" },
    publisher: statusOf("publisher"),
    aggregation: hasLog ? statusOf("aggregation") : NO_LOG,
    dashboard: statusOf("dashboard"),
  };
}
