import type { Config } from "../config.ts";
import type { SourceStatus } from "../log/source.ts";
import type { Source } from "../hub/source.ts";
import type { EventLog } from "../log/event-log.ts";
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

/** A source that this process writes. */
export interface OpenedSource extends Source {
  readonly log: EventLog;
  /** Its file, for processes that read beside this one. */
  readonly path: string;
}

/** Where events come from and go to: Kafka with its local log, or the embedded log alone. */
export interface OpenSource {
  /** Resolves when every topic is in the log, and read up to where it ended at the start. */
  readonly ready: Promise<OpenedSource>;
  readonly publisher: Publisher;
  readonly missing: () => readonly string[];
  readonly degraded: () => readonly string[];
  readonly status: () => SourceStatus;
  close(): Promise<void>;
}
