import type { Aggregation } from "../aggregate/aggregation.ts";
import type { SourceStatus } from "../log/source.ts";
import type { Activities } from "../hub/connections.ts";
import type { Streams } from "../hub/streams.ts";
import type { ReadableLog } from "../log/readable-log.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { ApplicationSections } from "./application-sections.ts";
import type {
  DashboardData,
  DashboardSource,
  Metadata,
  Performance,
  RecentError,
  Sections,
} from "./dashboard-data.ts";
import { heldFor } from "./held-for.ts";
import type { Past } from "./past.ts";
import { Judge } from "./performance.ts";
import { readCounters, type Reading } from "./reading.ts";
import { Sampler } from "./sampler.ts";
import type { Sanitizer } from "./sanitizer.ts";
import { joinSections } from "./sections.ts";
import { lagOf, shortened, trafficOf } from "./traffic.ts";

/** Where the dashboard looks. All of it answers from memory, but the application. */
export interface DashboardInputs {
  /** Of all processes of this instance together. */
  readonly registry: () => Metrics["registry"] | Promise<Metrics["registry"]>;
  readonly logger: Logger;
  readonly sanitizer: Sanitizer;
  readonly streams: Omit<Streams, "receivers" | "connections">;
  readonly missing: () => readonly string[];
  readonly degraded: () => readonly string[];
  readonly source: () => SourceStatus;
  /** Undefined as long as there is no log. */
  readonly log: () => Pick<ReadableLog, "heldBytes" | "baseSeq" | "headSeq"> | undefined;
  /** null as long as there is no log. */
  readonly aggregation: () => Promise<Aggregation | null>;
  readonly aggregationLag: () => number | null;
  /** The dashboard topic's sections. */
  readonly topicSections: () => Sections;
  /** The application's. */
  readonly applicationSource: DashboardSource | undefined;
  /** Newest first. */
  readonly recentErrors: () => readonly RecentError[];
  readonly version: string;
  readonly topics: readonly string[];
  readonly updateIntervalMs: number;
  readonly isSanitized: boolean;
  readonly host: string;
}

/** What `GET /api/status` says. */
export interface ServerStatus {
  readonly isRunning: boolean;
  /** Open streams, of events and of the dashboard. */
  readonly connectedClients: number;
  readonly activeUsers: number;
  readonly eventsSent: number;
  /** Seconds since the start. */
  readonly uptime: number;
}

/** The dashboard at one moment, as JSON, which is written once for all who get it. */
interface Snapshot {
  readonly json: string;
  /** Monotonic, ms. */
  readonly madeMs: number;
}

/** A stranger who asks for documents all the time has us make one a second. */
const MAX_AGE_MS = 1000;

/** Counting subscribers takes milliseconds where there are many. */
const ACTIVITIES_HOLD_MS = 1000;

/** How long an update waits for the application; never longer than to the next one. */
const SOURCE_DEADLINE_MS = 2000;

/** How the server is: sampled once a second, and put together when somebody asks. */
export class Dashboard implements Disposable {
  readonly #inputs: DashboardInputs;
  readonly #startedMs = performance.now();
  readonly #judge = new Judge();
  readonly #application: ApplicationSections;
  readonly #activities: () => Activities;
  readonly #sampler: Sampler;
  /** What was wrong with the sections when they were last put together. */
  #sectionFaults: readonly string[] = [];
  #newest: Snapshot | undefined;
  /** The one that is being made: whoever asks meanwhile gets it too. */
  #making: Promise<Snapshot> | undefined;

  constructor(inputs: DashboardInputs) {
    this.#inputs = inputs;
    const { applicationSource: source, updateIntervalMs, logger } = inputs;
    this.#application = new ApplicationSections({
      source,
      deadlineMs: Math.min(updateIntervalMs, SOURCE_DEADLINE_MS),
      logger,
    });
    this.#activities = heldFor(ACTIVITIES_HOLD_MS, () => inputs.streams.activities());
    this.#sampler = new Sampler({
      read: () => this.#read(),
      // Since when something holds must not depend on whether somebody looks.
      onSample: (past) => void this.#performance(past),
      onError: (error) => logger.error({ err: error }, "dashboard sample could not be taken"),
    });
  }

  /** JSON of `DashboardData`, new. The application is asked, and waited for at most until the deadline. */
  async newJson(): Promise<string> {
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    const { json } = await this.#making;
    return json;
  }

  /** The same, but it may be a second old. */
  async recentJson(): Promise<string> {
    const newest = this.#newest;
    const isFresh = newest !== undefined && performance.now() - newest.madeMs < MAX_AGE_MS;
    return isFresh ? newest.json : this.newJson();
  }

  async status(): Promise<ServerStatus> {
    const { sent, connections } = await this.#read();
    return {
      isRunning: !this.#inputs.streams.isDraining,
      connectedClients: connections,
      activeUsers: await this.#inputs.streams.activeUsers(),
      eventsSent: sent,
      uptime: Math.floor(this.#uptimeMs() / 1000),
    };
  }

  [Symbol.dispose](): void {
    this.#sampler[Symbol.dispose]();
  }

  async #make(): Promise<Snapshot> {
    await this.#application.refresh();
    const aggregation = await this.#inputs.aggregation();
    const madeMs = performance.now();
    const past = await this.#sampler.past();
    const { streams, recentErrors, ...inputs } = this.#inputs;
    const activeUsers = await streams.activeUsers();
    const sections = this.#sections();
    const source = inputs.source();
    const log = inputs.log();
    const data: DashboardData = {
      timestamp: past.now.timestamp,
      performance: this.#performance(past),
      traffic: trafficOf({
        past,
        samples: this.#sampler.samples(),
        audience: { activities: this.#activities(), activeUsers },
        watchers: streams.watchers(),
        source,
      }),
      aggregation: aggregation && shortened(aggregation),
      memory: {
        rssBytes: past.now.rssBytes,
        heapBytes: past.now.heapBytes,
        logBytes: log?.heldBytes ?? 0,
        logRows: log ? log.headSeq - log.baseSeq : 0,
      },
      errors: recentErrors(),
      metadata: this.#metadata(source),
    };
    this.#newest = { json: withMembers(JSON.stringify(data), sections), madeMs };
    return this.#newest;
  }

  async #read(): Promise<Reading> {
    const { registry, source } = this.#inputs;
    return readCounters(await registry(), {
      timestamp: Date.now(),
      atMs: performance.now(),
      lag: lagOf(source()).records,
    });
  }

  #performance(past: Past): Performance {
    const { sanitizer, streams, missing, degraded, source, aggregationLag } = this.#inputs;
    return this.#judge.judge({
      nowMs: past.now.timestamp,
      isStopping: streams.isDraining,
      missing: missing().map((reason) => sanitizer.text(reason)),
      degraded: degraded(),
      source: sanitizer.status(source()),
      past,
      aggregationLag: aggregationLag(),
      sectionFaults: this.#sectionFaults,
    });
  }

  /** The application's and the topic's, as JSON members. */
  #sections(): readonly string[] {
    const { sections, fault } = this.#application;
    const { members, faults } = joinSections(sections, this.#inputs.topicSections());
    this.#sectionFaults = fault === undefined ? faults : [fault, ...faults];
    return members;
  }

  #metadata({ mode, consumer: { groupId } }: SourceStatus): Metadata {
    const { version, topics, updateIntervalMs, isSanitized, host } = this.#inputs;
    return {
      uptime: Math.floor(this.#uptimeMs()),
      version,
      mode,
      topics,
      updateIntervalMs,
      sanitized: isSanitized,
      ...(!isSanitized && { host, ...(groupId !== null && { groupId }) }),
    };
  }

  #uptimeMs(): number {
    return performance.now() - this.#startedMs;
  }
}

/** An object's JSON with more members, which are JSON already. */
function withMembers(json: string, members: readonly string[]): string {
  return members.length === 0 ? json : `${json.slice(0, -1)},${members.join(",")}}`;
}
