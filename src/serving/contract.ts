import type { ExpiredToken } from "../auth/expired-tokens.ts";
import type { Activities, Connections } from "../hub/connections.ts";
import type { KafkaStatus } from "../http/context.ts";
import type { Refusal, StreamOwner } from "../http/connection-limits.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import type { TopicEnds } from "../log/source.ts";
import type { ServerStatus } from "../dashboard/dashboard.ts";
import type { MetricsJson } from "../metrics-sum.ts";
import type { Idempotency, PublishResult } from "../publishing/publishing.ts";

/** What the process that feeds offers to each worker. */
export interface FeederOffers {
  publish(what: {
    readonly records: readonly OutgoingRecord[];
    readonly idempotency: Idempotency | undefined;
  }): Promise<PublishResult>;
  /** Where topics end now, as `EndsSource`. */
  ends(topics: readonly string[]): Promise<TopicEnds[]>;
  /** A stream is about to be opened, under a number of the worker's own; or why it must not be. */
  takeSlot(slot: {
    readonly id: number;
    readonly owner: StreamOwner;
  }): Promise<Refusal | undefined>;
  releaseSlot(id: number): void;
  /** As `PublishRate.admit`. */
  admit(what: { readonly sender: string; readonly events: number }): Promise<number | undefined>;
  /** A token has ended a stream: no worker accepts it any more. */
  expired(token: ExpiredToken): void;
  kafkaStatus(nothing: undefined): Promise<KafkaStatus>;
  metricsPage(nothing: undefined): Promise<string>;
  dashboardJson(which: "recent" | "new"): Promise<string>;
  serverStatus(nothing: undefined): Promise<ServerStatus>;
}

/** What each worker offers to the process that feeds it. */
export interface WorkerOffers {
  /** Serves; resolves with where. The first of several picks the port, where it is 0. */
  start(how: {
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly worker: number;
    readonly port: number;
    /** Tokens that have ended streams before. */
    readonly expired: readonly ExpiredToken[];
  }): Promise<{ readonly url: string; readonly port: number }>;
  /** The log is there. */
  attach(source: { readonly path: string; readonly aheadConfirmMs: number }): void;
  /** The log has changed. */
  changed(nothing: undefined): void;
  state(state: FeederState): void;
  expired(token: ExpiredToken): void;
  receivers(records: readonly OutgoingRecord[]): number;
  figures(nothing: undefined): Promise<WorkerFigures>;
  users(nothing: undefined): string[];
  connections(nothing: undefined): Connections;
  drain(graceMs: number): Promise<void>;
  close(answerMs: number): Promise<void>;
}

/** What keeps the instance from being ready, or whole. */
export interface FeederState {
  readonly missing: readonly string[];
  readonly degraded: readonly string[];
}

/** What a worker says of itself, once a second. */
export interface WorkerFigures {
  readonly metrics: MetricsJson;
  readonly activities: Activities;
  /** Streams of the dashboard. */
  readonly watchers: number;
}
