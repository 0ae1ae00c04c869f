import type { Config } from "../config.ts";
import type { SourceStatus } from "../log/source.ts";
import type { Source } from "../hub/source.ts";
import type { DataDir } from "../log/data-dir.ts";
import type { Publisher } from "../log/publisher.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";

export interface SourceOptions {
  readonly config: Config;
  readonly dataDir: DataDir;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Where events come from and go to: Kafka with its local log, or the embedded log alone. */
export interface OpenSource {
  /** Resolves when every topic is in the log, and read up to where it ended at the start. */
  readonly ready: Promise<Source>;
  readonly publisher: Publisher;
  readonly missing: () => readonly string[];
  readonly degraded: () => readonly string[];
  readonly status: () => SourceStatus;
  close(): Promise<void>;
}
