import { type Config, parseConfig } from "./config.ts";
import { HeadgateError } from "./errors.ts";
import type { Connections } from "./hub/connections.ts";
import type { OutgoingRecord } from "./log/publisher.ts";
import { createLogger, type Logger } from "./logger.ts";
import { createNotificationSenders, type NotificationSenders } from "./notifications/senders.ts";
import { type HeadgateOptions, toEnvironment } from "./options.ts";
import type { PublishContext } from "./publishing/event-rules.ts";
import {
  type PublishedEvent,
  type PublishTargets,
  toRecord,
} from "./publishing/published-event.ts";
import type { PublishResult } from "./publishing/publishing.ts";
import { type RunningServer, startServer } from "./running-server.ts";

/** What goes with the data of one event. */
export type EventOptions = Pick<PublishedEvent, "topic" | "type" | "key" | "headers">;

/**
 * A server, for an application to run. All that publishes resolves once the event is durable, and
 * rejects with a HeadgateError: `invalid-body`, `invalid-event`, `topic-not-found`, `too-large`,
 * `publish-queue-full`, `publish-timeout`, `publish-failed`, or `not-ready` while it is not started.
 */
export interface Headgate extends NotificationSenders<PublishResult> {
  /** What it runs with. */
  readonly config: Config;
  /** Where it listens, without a path. @throws HeadgateError `not-ready` while it does not. */
  readonly url: string;
  /** Resolves when every partition has been read up to where it ended at the start. */
  readonly ready: Promise<void>;
  /**
   * Resolves when it listens; streams are accepted from then on, and held until it is ready.
   * @throws HeadgateError where the data directory or the port cannot be had; it may be called again.
   */
  start(): Promise<void>;
  /** Drains: closes every stream within the grace, awaits publishes under way, then lets go of everything. */
  stop(): Promise<void>;
  /**
   * Publishes an event, or several, checked whole before the first is sent. Under an
   * `idempotencyKey` it can be called again without publishing twice, on any instance.
   */
  publish(
    events: PublishedEvent | readonly PublishedEvent[],
    options?: { readonly idempotencyKey?: string },
  ): Promise<PublishResult>;
  /** The same for bytes that are no JSON. Headers are not checked. */
  publishRecords(records: readonly OutgoingRecord[]): Promise<PublishResult>;
  /** Publishes `data` (any JSON) for every subscriber; resolves with how many of this instance get it. */
  broadcast(data: unknown, options?: EventOptions): Promise<number>;
  /** To every connection of a user; resolves with how many of this instance get it: 0 is nobody online. */
  sendToUser(user: string, data: unknown, options?: EventOptions): Promise<number>;
  sendToClient(client: string, data: unknown, options?: EventOptions): Promise<number>;
  /** To every connection that joined a channel. */
  sendToChannel(channel: string, data: unknown, options?: EventOptions): Promise<number>;
  /** Resolves with who is connected to this instance, to all of its workers. O(connections). */
  connections(): Promise<Connections>;
}

/**
 * Makes a server; nothing runs before `start`.
 * @throws HeadgateError `configuration`, with all faults of the options.
 */
export function createHeadgate(options: HeadgateOptions = {}, logger?: Logger): Headgate {
  const environment = toEnvironment(options);
  const config = parseConfig(environment);
  const log = logger ?? createLogger(config.server.logLevel);
  let server: RunningServer | undefined;
  /** Starts and stops come one after the other: what one of them holds, the next would not get. */
  let turn = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = turn.then(work);
    turn = done.catch(() => {
      // Its own caller is told.
    });
    return done;
  };
  const running = (): RunningServer => {
    if (server) return server;
    throw new HeadgateError("not-ready", "The server is not started; call start()");
  };
  const rules: PublishContext = {
    topics: config.heldTopics,
    defaultTopic: config.streams.defaultTopic,
    mayPublish: () => true,
    mayTarget: () => true,
  };

  const publish: Headgate["publish"] = async (events, { idempotencyKey } = {}) => {
    const { publishing } = running();
    const records = isList(events)
      ? events.map((event, i) => toRecord(event, `/${i}`, rules))
      : [toRecord(events, "", rules)];
    const idempotency = idempotencyKey === undefined ? undefined : { key: idempotencyKey };
    return publishing.publish(records, idempotency && { ...idempotency, publisher: OURSELVES });
  };
  const send = async (
    data: unknown,
    to: PublishTargets | undefined,
    event: EventOptions = {},
  ): Promise<number> => {
    const { receivers } = await publish({ ...event, data, to });
    return receivers;
  };

  return {
    ...createNotificationSenders(publish),
    config,
    get url() {
      return running().url;
    },
    get ready() {
      return running().ready;
    },
    start: () =>
      inTurn(async () => {
        if (!config.server.isEnabled) return;
        const { dashboard: dashboardSource } = options;
        server ??= await startServer({ config, environment, logger: log, dashboardSource });
      }),
    stop: () =>
      inTurn(async () => {
        const stopping = server;
        server = undefined;
        await stopping?.stop();
      }),
    publish,
    publishRecords: async (records) => running().publishing.publish(records),
    broadcast: (data, event) => send(data, undefined, event),
    sendToUser: (user, data, event) => send(data, { user }, event),
    sendToClient: (client, data, event) => send(data, { client }, event),
    sendToChannel: (channel, data, event) => send(data, { channel }, event),
    connections: async () => running().connections(),
  };
}

/**
 * Whose idempotency keys the application's own are: no token's `sub` has a control character, and
 * those who have none (the empty one) must not answer the application's publishes with theirs.
 */
const OURSELVES = "\n";

function isList<T>(events: T | readonly T[]): events is readonly T[] {
  return Array.isArray(events);
}
