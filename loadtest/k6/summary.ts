/** k6's end-of-test data, as far as it is used. */
export interface SummaryData {
  readonly metrics: Readonly<Record<string, SummaryMetric | undefined>>;
}

export interface SummaryMetric {
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

/** One line of the table. */
export interface SummaryRow {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** As k6 writes it; absent where nothing is asserted. */
  readonly threshold?: string;
  readonly ok?: boolean;
}

const ROWS = [
  { what: "streams that connected", metric: "stream_connected", value: "rate", unit: "of 1" },
  { what: "connection errors", metric: "stream_errors", value: "count", unit: "" },
  { what: "response begins, p95", metric: "stream_response_ms", value: "p(95)", unit: "ms" },
  { what: "first event, p95", metric: "stream_first_event_ms", value: "p(95)", unit: "ms" },
  { what: "events read", metric: "stream_events", value: "count", unit: "" },
  { what: "most streams at once", metric: "vus", value: "max", unit: "" },
] as const;

/** What is told of a run: the same rows for the file and for the screen. */
export function summaryRows({ metrics }: SummaryData): readonly SummaryRow[] {
  return ROWS.map(({ what, metric, value, unit }): SummaryRow => {
    const found = metrics[metric];
    // k6 leaves out a metric without samples: of a counter that is 0.
    const number = found?.values[value] ?? 0;
    const [threshold, outcome] = Object.entries(found?.thresholds ?? {})[0] ?? [];
    if (threshold === undefined || outcome === undefined) return { what, value: number, unit };
    return { what, value: number, unit, threshold, ok: outcome.ok };
  });
}

/** The rows as a text table. */
export function formatRows(rows: readonly SummaryRow[]): string {
  const lines = rows.map(({ what, value, unit, threshold, ok }) => {
    const number = Number.isInteger(value) ? String(value) : value.toFixed(3);
    const verdict = threshold === undefined ? "" : `${ok === true ? "ok" : "FAILED"}  ${threshold}`;
    return `${what.padEnd(24)}${`${number} ${unit}`.trim().padStart(14)}  ${verdict}`.trimEnd();
  });
  return `\n${lines.join("\n")}\n`;
}
