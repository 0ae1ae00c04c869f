import type { SourceStatus } from "../log/source.ts";
import type { Past } from "./past.ts";

/** What the rules look at. Texts in it are without hosts and groups where the dashboard is. */
export interface Observation {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** The server drains. */
  readonly isStopping: boolean;
  /** What keeps the server from being ready, as `/readyz` says. */
  readonly missing: readonly string[];
  /** What works only in part: `kafka`, `disk`. */
  readonly degraded: readonly string[];
  readonly source: SourceStatus;
  readonly past: Past;
  /** Entries of the log that are not counted yet; null: there is no log yet. */
  readonly aggregationLag: number | null;
  /** What is wrong with the dashboard's own sections. */
  readonly sectionFaults: readonly string[];
}
