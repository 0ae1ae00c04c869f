/**
 * A worker: a process that serves streams and requests, and is fed by the process that has started
 * it. It reads the log that the other one writes, and asks it for everything that must be one for
 * all workers: publishes, limits, the status.
 */
import "../bun-version.ts";
import { ExpiredTokens } from "../auth/expired-tokens.ts";
import { parseConfig } from "../config.ts";
import { FollowedLog } from "../log/followed-log.ts";
import { createLogger, type Logger } from "../logger.ts";
import { createMetrics, watchEventLoop } from "../metrics.ts";
import { Channel, type Message } from "./channel.ts";
import type { FeederOffers, FeederState, WorkerOffers } from "./contract.ts";
import { LocalFront } from "./local-front.ts";
import { remoteBackend } from "./remote-backend.ts";

let front: LocalFront | undefined;
let logger: Logger | undefined;
let log: FollowedLog | undefined;
let state: FeederState = { missing: ["the worker has just started"], degraded: [] };
let isReading = false;
const metrics = createMetrics();
const expired = new ExpiredTokens();

const offers: WorkerOffers = {
  async start({ environment, worker, port, expired: tokens }) {
    for (const token of tokens) expired.learn(token, Date.now());
    const config = parseConfig(environment);
    logger = createLogger(config.server.logLevel).child({ worker });
    front = new LocalFront({ config, logger, metrics, sharedPort: port, expired });
    const backend = remoteBackend(feeder, { config, state: () => state });
    const url = await front.listen(backend);
    watchEventLoop(metrics);
    return { url, port: front.port ?? port };
  },
  attach({ path, aheadConfirmMs }) {
    log = new FollowedLog({ path });
    while (log.refresh()) {
      // What was there before is read at once: nobody is served yet.
    }
    const ends = (topics: readonly string[]) => feeder.call("ends", topics);
    // Who has been told that its publish is stored must find it, whichever worker is asked.
    const refresh = (): unknown => log?.refresh();
    running().attach({ log, ends: { ends }, aheadConfirmMs, refresh });
  },
  changed: () => readOn(),
  state: (now) => {
    state = now;
  },
  expired: (token) => expired.learn(token, Date.now()),
  receivers: (records) => running().receivers(records),
  figures: async () => ({
    metrics: await metrics.registry.getMetricsAsJSON(),
    activities: running().activities(),
    watchers: running().watchers(),
  }),
  users: () => running().users(),
  connections: () => running().connections(),
  drain: (graceMs) => running().drain(graceMs),
  close: (answerMs) => running().close(answerMs),
};

const feeder = new Channel<FeederOffers>((message) => process.send?.(message), { ...offers });
expired.onRemembered = (token) => feeder.tell("expired", token);
// The cast holds: only the process that has started this one writes to it.
process.on("message", (message) => feeder.receive(message as Message));
// A worker without the process that feeds it has nothing to say: its clients come back elsewhere.
process.on("disconnect", () => process.exit(0));
// Signals are the other process's: a terminal sends them to both.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

function running(): LocalFront {
  if (front) return front;
  throw new Error("The worker has not been started");
}

/** How soon a look at the log is tried again that has failed: out of files, or of memory. */
const RETRY_MS = 100;

/** Takes what the log has gained, some of it in each turn of the event loop. */
function readOn(): void {
  if (isReading || !log) return;
  isReading = true;
  setImmediate(() => {
    isReading = false;
    try {
      if (log?.refresh()) readOn();
    } catch (error) {
      logger?.error({ err: error }, "log cannot be read");
      setTimeout(readOn, RETRY_MS);
    }
  });
}
