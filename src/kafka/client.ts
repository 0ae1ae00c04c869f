import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { Kafka, logLevel } from "kafkajs";
import type { ISocketFactory, LogEntry, RetryOptions, SASLOptions } from "kafkajs";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import type { Logger } from "../logger.ts";
import { registerCodecs } from "./codecs.ts";

/** How to reach Kafka. */
export interface KafkaConfig {
  /** `host:port` of some brokers; the others are learned from them. */
  brokers: readonly string[];
  clientId: string;
  /** Prefix of the consumer groups' names. */
  groupId: string;
  /** PEM texts, or true for TLS with the system's authorities. */
  ssl?: { ca?: string; cert?: string; key?: string } | boolean;
  sasl?: {
    mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    username: string;
    password: string;
  };
}

/** What kafkajs connects with. */
interface ConnectionSettings {
  clientId: string;
  connectionTimeout: number;
  requestTimeout: number;
  socketFactory: ISocketFactory;
  ssl: ConnectionOptions | null;
  sasl: SASLOptions | null;
}

const KEEP_ALIVE_MS = 10_000;

/** Written out, because kafkajs has other defaults where NODE_ENV is `test`. */
const RETRY: RetryOptions = {
  initialRetryTime: 100,
  maxRetryTime: 1_000,
  factor: 0.2,
  multiplier: 2,
  retries: 5,
};

/** A kafkajs client with this project's connection, retry and log settings, and all codecs. */
export function createKafka(config: KafkaConfig, logger: Logger): Kafka {
  registerCodecs();
  mendIdleTimers();
  const { ssl, sasl, ...options } = connectionOptions(config);
  return new Kafka({
    ...options,
    ...(ssl === null ? {} : { ssl }),
    ...(sasl === null ? {} : { sasl }),
    brokers: [...config.brokers],
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator: () => bridgeLog(logger),
  });
}

/** How one connection of kafkajs is made. */
export function connectionOptions({ clientId, ssl, sasl }: KafkaConfig): ConnectionSettings {
  return {
    clientId,
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    socketFactory,
    ssl: ssl === undefined || ssl === false ? null : ssl === true ? {} : ssl,
    sasl: sasl === undefined ? null : saslOptions(sasl),
  };
}

/** What went wrong, with the broker's advertised address, which kafkajs keeps beside the message. */
export function describeKafkaError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const broker = "broker" in error && typeof error.broker === "string" ? error.broker : "";
  const cause = error.cause instanceof Error ? error.cause : undefined;
  if (cause !== undefined && cause.message === error.message) return describeKafkaError(cause);
  return broker === "" || error.message.includes(broker)
    ? error.message
    : `${error.message} (broker ${broker})`;
}

/** kafkajs's type is a union by mechanism. */
function saslOptions(sasl: NonNullable<KafkaConfig["sasl"]>): SASLOptions {
  const { mechanism, username, password } = sasl;
  if (mechanism === "plain") return { mechanism, username, password };
  if (mechanism === "scram-sha-256") return { mechanism, username, password };
  return { mechanism, username, password };
}

const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  // SNI does not take addresses [RFC 6066 §3].
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl
    ? connectTls({ ...name, ...ssl, host, port, rejectUnauthorized: true }, onConnect)
    : connectTcp({ host, port }, onConnect);
  // Without it small requests wait for the acknowledgement of the one before.
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
};

/**
 * kafkajs repeats a line on every retry, so all of it is debug here; what an operator must know
 * (Kafka lost, Kafka back, rebuilt) is logged once by the parts that use the client. Only named
 * fields pass: others may hold requests.
 */
function bridgeLog(logger: Logger): (entry: LogEntry) => void {
  return ({ namespace, log }) => {
    const { message, broker, error, retryCount } = log;
    logger.debug(
      {
        namespace,
        broker: text(broker),
        error: text(error),
        retryCount: typeof retryCount === "number" ? retryCount : undefined,
      },
      message,
    );
  };
}

function text(value: unknown): string | undefined {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : undefined;
}

let areTimersMended = false;

/**
 * Every queue of requests in kafkajs 2.2.4 sets a timer when it is empty, too, with a negative
 * delay, which fires after a millisecond and sets the next: 1,000 wake-ups a second and
 * connection, and a TimeoutNegativeWarning. Only what waits needs looking after.
 */
function mendIdleTimers(): void {
  if (areTimersMended) return;
  areTimersMended = true;
  const queue = RequestQueue.prototype;
  const schedule = queue.scheduleCheckPendingRequests;
  queue.scheduleCheckPendingRequests = function scheduleWhereSomethingWaits() {
    if (this.pending.length > 0) schedule.call(this);
  };
}
