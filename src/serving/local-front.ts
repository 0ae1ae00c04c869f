import { createAuthenticator } from "../auth/authenticator.ts";
import type { ExpiredTokens } from "../auth/expired-tokens.ts";
import type { Authenticator } from "../auth/principal.ts";
import type { Config } from "../config.ts";
import { DashboardUpdates } from "../dashboard/dashboard-updates.ts";
import { HeadgateError } from "../errors.ts";
import type { Backend } from "../http/context.ts";
import { createCors } from "../http/cors.ts";
import { Deflater } from "../http/gzip-deflater.ts";
import { RequestLog } from "../http/request-log.ts";
import { serve } from "../http/server.ts";
import { setSocketOptions } from "../http/socket-options.ts";
import { Hub } from "../hub/hub.ts";
import type { Source } from "../hub/source.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Front } from "./front.ts";

interface LocalFrontOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Where workers share a port, the port that they share; 0: the first of them picks one. */
  readonly sharedPort?: number;
  /** What workers tell one another. */
  readonly expired?: ExpiredTokens;
}

/** Serves from this process. */
export class LocalFront implements Front {
  readonly #options: LocalFrontOptions;
  readonly #authenticator: Authenticator;
  readonly #hub: Hub;
  #updates: DashboardUpdates | undefined;
  #server: Bun.Server<undefined> | undefined;

  constructor(options: LocalFrontOptions) {
    this.#options = options;
    const { config, logger, metrics } = options;
    const { streams, who } = config;
    this.#authenticator = createAuthenticator(
      who.jwt ? { mode: "jwt", ...who.jwt, ...who } : { mode: "none", ...who },
      options.expired,
    );
    // Where the kernel ends stalled connections the hub need not: see `setSocketOptions`.
    this.#hub = new Hub({ ...streams, maxAgeMs: streams.maxConnectionAgeMs, logger, metrics });
    metrics.observe({ activities: () => this.#hub.activities() });
  }

  get isDraining(): boolean {
    return this.#hub.isDraining;
  }

  get turns(): Hub["turns"] {
    return this.#hub.turns;
  }

  /** Undefined while it does not listen. */
  get port(): number | undefined {
    return this.#server?.port;
  }

  activities(): ReturnType<Hub["activities"]> {
    return this.#hub.activities();
  }

  activeUsers(): number {
    return this.#hub.activeUsers();
  }

  users(): string[] {
    return this.#hub.users();
  }

  watchers(): number {
    return this.#updates?.size ?? 0;
  }

  receivers(...args: Parameters<Hub["receivers"]>): number {
    return this.#hub.receivers(...args);
  }

  connections(): ReturnType<Hub["connections"]> {
    return this.#hub.connections();
  }

  registry(): Metrics["registry"] {
    return this.#options.metrics.registry;
  }

  attach(source: Source): void {
    this.#hub.attach(source);
  }

  async listen(backend: Backend): Promise<string> {
    const { config, logger, metrics, sharedPort } = this.#options;
    const { server: serverConfig, streams, publishing, watching, topics } = config;
    const updates = new DashboardUpdates({
      ...streams,
      logger: logger.child({ part: "dashboard" }),
      metrics,
      snapshot: backend.dashboard.newJson,
      intervalMs: watching.updateIntervalMs,
      maxAgeMs: streams.maxConnectionAgeMs,
    });
    this.#updates = updates;
    const deflater = streams.isCompressed ? new Deflater() : undefined;
    metrics.observe({ gzip: () => deflater });
    const { host, tls } = serverConfig;
    const port = sharedPort ?? serverConfig.port;
    const server = listen({
      host,
      port,
      isShared: sharedPort !== undefined,
      tls,
      context: {
        ...backend,
        hub: this.#hub,
        metrics,
        log: new RequestLog(logger.child({ part: "http" })),
        topics,
        bindHost: host,
        allowedHosts: serverConfig.allowedHosts,
        maxBodyBytes: publishing.maxBodyBytes,
        authenticator: this.#authenticator,
        cors: createCors(serverConfig.corsOrigins),
        deflater,
        trustedProxies: serverConfig.trustedProxies,
        updates,
        hasConsole: serverConfig.hasConsole,
      },
    });
    this.#server = server;
    if (setSocketOptions(server.port ?? port, streams.maxStallMs, logger)) {
      this.#hub.leaveStallsToKernel();
      updates.leaveStallsToKernel();
    }
    return server.url.href.replace(/\/$/, "");
  }

  async drain(graceMs: number): Promise<void> {
    await Promise.all([this.#hub.drain(graceMs), this.#updates?.drain(graceMs)]);
  }

  async close(answerMs: number): Promise<void> {
    await Promise.race([this.#server?.stop(), Bun.sleep(answerMs)]);
    await this.#server?.stop(true);
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(true);
    this.#updates?.[Symbol.dispose]();
    this.#hub[Symbol.dispose]();
  }
}

function listen(options: Parameters<typeof serve>[0]): Bun.Server<undefined> {
  try {
    return serve(options);
  } catch (error) {
    throw cannotListen(options, error);
  }
}

/** Why an address cannot be had, and what to do. */
export function cannotListen(
  { host, port }: { host: string; port: number },
  cause: unknown,
): HeadgateError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HeadgateError(
    "configuration",
    `Cannot listen on ${host}:${port} (${reason}); set PORT or HOST`,
    { cause },
  );
}
