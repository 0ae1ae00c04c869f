import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ANOMALY_RULES } from "../src/dashboard/anomalies.ts";
import { HEALTH_RULES } from "../src/dashboard/rules.ts";
import { createMetrics } from "../src/metrics.ts";

const TEXT = readFileSync(join(import.meta.dir, "../docs/watching.md"), "utf8");

/** Cells of the tables' rows, without the spaces that align them. */
const ROWS = TEXT.split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );

test("docs/watching.md has every rule of the health score as it is, and no other", () => {
  const rules = HEALTH_RULES.map(({ name, points, isAlert, isDown, subsystem, when }) => [
    `\`${name}\``,
    String(points),
    isAlert ? "yes" : "",
    isDown ? `${subsystem}, down` : subsystem,
    when,
  ]);
  expect(ROWS.filter((row) => row.length === 5 && row[0]?.startsWith("`"))).toEqual(rules);
});

test("docs/watching.md has every anomaly as it is, and no other", () => {
  const anomalies = ANOMALY_RULES.map(({ name, when }) => [`\`${name}\``, when]);
  const names = new Set(anomalies.map(([name]) => name));
  const rows = ROWS.filter(
    (row) => row.length === 2 && /^`[a-z]+-(?:burst|stopped)`$/.test(row[0] ?? ""),
  );
  expect(rows).toEqual(anomalies);
  expect(names.size).toBe(ANOMALY_RULES.length);
});

test("docs/watching.md has every metric with its type, and no other", async () => {
  const metrics = (await createMetrics().registry.getMetricsAsJSON()).map(({ name, type }) => [
    name,
    String(type),
  ]);
  const documented = ROWS.filter(
    (row) => row.length === 4 && /^`(?:sse|headgate|process)_/.test(row[0] ?? ""),
  ).flatMap(([names = "", types = ""]) => {
    const kinds = types.split(", ");
    return [...names.matchAll(/`(\w+)`/g)].map(([, name = ""], i) => [
      name,
      kinds[i] ?? kinds[0] ?? "",
    ]);
  });
  expect(documented.toSorted(byName)).toEqual(metrics.toSorted(byName));
});

function byName([a = ""]: readonly string[], [b = ""]: readonly string[]): number {
  return a < b ? -1 : 1;
}
