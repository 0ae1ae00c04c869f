import type { FairTurns } from "../hub/fair-turns.ts";
import type { Streams } from "../hub/streams.ts";
import type { Backend } from "../http/context.ts";
import type { Metrics } from "../metrics.ts";
import type { OpenedSource } from "../sources/source.ts";

/** Port. What meets clients: this process, or workers. */
export interface Front extends Streams, AsyncDisposable {
  /** For long scans of the log that are no stream's own. */
  readonly turns: FairTurns;
  /**
   * Serves; resolves with where, without a path.
   * @throws HeadgateError `configuration` where the address cannot be had.
   */
  listen(backend: Backend): Promise<string>;
  /** The server is ready: streams get what the source has. */
  attach(source: OpenedSource): void;
  /** The metrics of all processes of this instance together. */
  registry(): Metrics["registry"] | Promise<Metrics["registry"]>;
  /** Closes all streams, spread over the grace; resolves when all are gone. */
  drain(graceMs: number): Promise<void>;
  /** Awaits requests under way for at most so long, and listens no more. */
  close(answerMs: number): Promise<void>;
}
