import { ExpiredTokens } from "../auth/expired-tokens.ts";
import type { Backend } from "../http/context.ts";
import type { Activities, Connections } from "../hub/connections.ts";
import { FairTurns } from "../hub/fair-turns.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import { countedIn, type MetricsJson, sumMetrics } from "../metrics-sum.ts";
import type { OpenedSource } from "../sources/source.ts";
import type { FeederOffers, FeederState, WorkerFigures } from "./contract.ts";
import type { Front } from "./front.ts";
import { cannotListen } from "./local-front.ts";
import { WorkerProcess } from "./worker-process.ts";

interface WorkerPoolOptions {
  readonly workers: number;
  readonly host: string;
  readonly port: number;
  /** What the workers read their configuration from. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const NOBODY: Activities = { waiting: 0, reading: 0, live: 0 };

/** How often it is looked whether the workers know how the server is. */
const STATE_MS = 100;

/** What a worker that has answered all its requests may still take to end. */
const END_MS = 500;

/** Until a worker that has ended is replaced; doubled with each one that does not live for `STEADY_MS`. */
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
const STEADY_MS = 10_000;

/** A worker that has been silent for so long hangs: its clients are better off elsewhere. */
const HANG_MS = 10_000;

/**
 * Serves from several processes that share a port (SO_REUSEPORT: the kernel deals connections out
 * to them). This process feeds them: it writes the log, which they read, and answers what must be
 * one for all. A worker that ends is replaced; its clients come back with their positions.
 */
export class WorkerPool implements Front {
  readonly turns = new FairTurns();
  readonly #options: WorkerPoolOptions;
  readonly #logger: Logger;
  /** By place; undefined while one is being replaced. */
  readonly #workers: (WorkerProcess | undefined)[];
  /** Those that have been told where the log is. */
  readonly #attached = new WeakSet<WorkerProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** For workers that are started later. */
  readonly #expired = new ExpiredTokens();
  /** What those counted that have ended. */
  #counted: MetricsJson = [];
  #source: OpenedSource | undefined;
  #backend: Backend | undefined;
  #port = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #toldState = "";
  #isTellingChange = false;
  #isDraining = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ part: "workers" });
    this.#workers = Array.from({ length: options.workers }, () => undefined);
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  async listen(backend: Backend): Promise<string> {
    this.#backend = backend;
    const { workers, host, port } = this.#options;
    refuseTaken(host, port);
    this.#port = port;
    const { url, port: picked } = await this.#start(1);
    this.#port = picked;
    await Promise.all(Array.from({ length: workers - 1 }, (_, i) => this.#start(i + 2)));
    this.#timers.add(setInterval(() => this.#tellState(), STATE_MS));
    this.#timers.add(setInterval(() => this.#killHung(), STATE_MS));
    return url;
  }

  attach(source: OpenedSource): void {
    this.#source = source;
    for (const worker of this.#running()) this.#attach(worker);
    source.log.events.on("appended", () => this.#tellChange());
    source.log.events.on("trimmed", () => this.#tellChange());
  }

  activities(): Activities {
    return this.#figures().reduce(
      (sum, { activities: { waiting, reading, live } }) => ({
        waiting: sum.waiting + waiting,
        reading: sum.reading + reading,
        live: sum.live + live,
      }),
      NOBODY,
    );
  }

  watchers(): number {
    return this.#figures().reduce((sum, { watchers }) => sum + watchers, 0);
  }

  async activeUsers(): Promise<number> {
    const lists = await this.#askAll((worker) => worker.call("users", undefined), []);
    return new Set(lists.flat()).size;
  }

  async receivers(records: readonly OutgoingRecord[]): Promise<number> {
    // Values decide nothing.
    const bare = records.map((record) => ({ ...record, value: null }));
    const counts = await this.#askAll((worker) => worker.call("receivers", bare), 0);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async connections(): Promise<Connections> {
    const none: Connections = { total: 0, activeUsers: 0, connections: [] };
    const parts = await this.#askAll((worker) => worker.call("connections", undefined), none);
    const connections = parts.flatMap((part) => part.connections);
    const users = new Set(connections.flatMap(({ user }) => (user === undefined ? [] : [user])));
    return { total: connections.length, activeUsers: users.size, connections };
  }

  async registry(): Promise<Metrics["registry"]> {
    const own = await this.#options.metrics.registry.getMetricsAsJSON();
    await Promise.all(
      this.#running().map(async (worker) => {
        const call = (): Promise<WorkerFigures | undefined> => worker.call("figures", undefined);
        worker.figures = await worker.ask(call, worker.figures);
      }),
    );
    return sumMetrics([own, this.#counted, ...this.#figures().map(({ metrics }) => metrics)]);
  }

  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    await Promise.allSettled(this.#running().map((worker) => worker.call("drain", graceMs)));
  }

  async close(answerMs: number): Promise<void> {
    this.#isDraining = true;
    const closed = this.#running().map((worker) => worker.call("close", answerMs));
    await Promise.race([Promise.allSettled(closed), Bun.sleep(2 * answerMs)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDraining = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.turns[Symbol.dispose]();
    await Promise.all(this.#running().map((worker) => worker.end(END_MS)));
  }

  async #start(place: number): Promise<{ url: string; port: number }> {
    const sinceMs = performance.now();
    let hasStarted = false;
    const worker: WorkerProcess = new WorkerProcess({
      worker: place,
      logger: this.#logger,
      offersTo: (process) => this.#offersTo(process),
      onEnded: (how) => {
        this.#workers[place - 1] = undefined;
        if (this.#isDraining) return;
        if (worker.figures) this.#retain(worker.figures);
        this.#logger.error({ worker: place, ...how }, "worker has ended");
        if (hasStarted) this.#replace(place, performance.now() - sinceMs);
      },
    });
    this.#workers[place - 1] = worker;
    const { environment } = this.#options;
    const started = {
      environment: { ...environment },
      worker: place,
      port: this.#port,
      expired: this.#expired.all(),
    };
    try {
      const at = await worker.start(started);
      hasStarted = true;
      if (this.#source) this.#attach(worker);
      worker.tell("state", this.#state());
      return at;
    } catch (error) {
      await worker.end(END_MS);
      throw error;
    }
  }

  /** Another worker takes the place of one that lived so long. */
  #replace(place: number, livedMs: number): void {
    if (livedMs >= STEADY_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      // It would take in streams that nobody closes any more.
      if (this.#isDraining) return;
      this.#options.metrics.workerRestarts.inc();
      this.#start(place).then(
        () => this.#logger.info({ worker: place }, "worker has been replaced"),
        (error: unknown) => {
          if (this.#isDraining) return;
          this.#logger.error({ worker: place, err: error }, "worker could not be replaced");
          this.#replace(place, 0);
        },
      );
    }, this.#backoffMs);
    this.#timers.add(timer);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }

  #retain({ metrics }: WorkerFigures): void {
    const json = sumMetrics([this.#counted, countedIn(metrics)]).getMetricsAsJSON();
    void json.then((counted) => {
      this.#counted = counted;
    });
  }

  #offersTo(worker: WorkerProcess): FeederOffers {
    const backend = (): Backend => {
      if (this.#backend) return this.#backend;
      throw new Error("Workers are started by listen()");
    };
    return {
      publish: ({ records, idempotency }) => backend().publishing.publish(records, idempotency),
      ends: (topics) => this.#source?.ends.ends(topics) ?? Promise.reject(new Error("No source")),
      takeSlot: async ({ id, owner }) => {
        const slot = await backend().limits.admit(owner);
        if (typeof slot === "string") return slot;
        worker.slots.set(id, slot);
        return undefined;
      },
      releaseSlot: (id) => {
        worker.slots.get(id)?.();
        worker.slots.delete(id);
      },
      admit: async ({ sender, events }) => backend().rate.admit(sender, events, performance.now()),
      expired: (token) => {
        this.#expired.learn(token, Date.now());
        for (const other of this.#running()) if (other !== worker) other.tell("expired", token);
      },
      kafkaStatus: () => backend().kafkaStatus(),
      metricsPage: () => backend().metricsPage(),
      dashboardJson: (which) =>
        which === "new" ? backend().dashboard.newJson() : backend().dashboard.recentJson(),
      serverStatus: () => backend().dashboard.status(),
    };
  }

  /** Once: the source may come before a worker has started, while it does, and after. */
  #attach(worker: WorkerProcess): void {
    if (!this.#source || this.#attached.has(worker)) return;
    this.#attached.add(worker);
    const { path, aheadConfirmMs } = this.#source;
    worker.tell("attach", { path, aheadConfirmMs });
  }

  #running(): WorkerProcess[] {
    return this.#workers.filter((worker) => worker !== undefined);
  }

  #figures(): WorkerFigures[] {
    return this.#running().flatMap(({ figures }) => figures ?? []);
  }

  #askAll<T>(call: (worker: WorkerProcess) => Promise<T>, otherwise: T): Promise<T[]> {
    return Promise.all(this.#running().map((worker) => worker.ask(() => call(worker), otherwise)));
  }

  /** What was appended in one turn of the event loop is told once. */
  #tellChange(): void {
    if (this.#isTellingChange) return;
    this.#isTellingChange = true;
    setImmediate(() => {
      this.#isTellingChange = false;
      for (const worker of this.#running()) worker.tell("changed", undefined);
    });
  }

  #killHung(): void {
    for (const worker of this.#running()) {
      if (worker.silentMs < HANG_MS) continue;
      this.#logger.error({ worker: worker.worker, silentMs: worker.silentMs }, "worker hangs");
      worker.kill();
    }
  }

  #state(): FeederState {
    const backend = this.#backend;
    return { missing: backend?.missing() ?? [], degraded: backend?.degraded() ?? [] };
  }

  #tellState(): void {
    const state = this.#state();
    const text = JSON.stringify(state);
    if (text === this.#toldState) return;
    this.#toldState = text;
    for (const worker of this.#running()) worker.tell("state", state);
  }
}

/** Whether somebody else listens there: among those who share a port the kernel would not say so. */
function refuseTaken(host: string, port: number): void {
  if (port === 0) return;
  try {
    Bun.listen({ hostname: host, port, socket: { data() {} } }).stop(true);
  } catch (error) {
    throw cannotListen({ host, port }, error);
  }
}
