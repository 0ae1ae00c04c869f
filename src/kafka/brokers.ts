import type { Logger as KafkajsLogger } from "kafkajs";
import Connection from "kafkajs/src/network/connection.js";
import type { Logger } from "../logger.ts";
import { HeadgateError } from "../errors.ts";
import { connectionOptions, createKafka } from "./client.ts";
import type { KafkaConfig } from "./client.ts";
import { apiVersions, metadata } from "./requests.ts";
import type { ClusterMetadata, KafkaRequest } from "./requests.ts";
import { ByteReader, ByteWriter } from "./wire.ts";

/** Long polls have a connection of their own: a broker answers one connection's requests in order. */
export type Lane = "control" | "fetch";

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Connections to a cluster's brokers, made when they are needed and thrown away at the first fault
 * or missed deadline: nothing here retries or waits longer than it was told to.
 */
export class Brokers {
  readonly #config: KafkaConfig;
  readonly #logger: KafkajsLogger;
  /** By address and lane. */
  readonly #connections = new Map<string, Promise<Connection>>();
  #nodes = new Map<number, Address>();
  #bootstrapTurn = 0;
  #closed = false;

  constructor(config: KafkaConfig, logger: Logger) {
    this.#config = config;
    this.#logger = createKafka(config, logger).logger();
  }

  /** Asks any broker that answers for the cluster and these topics, and learns the brokers' addresses. */
  async metadata(topics: readonly string[], timeoutMs: number): Promise<ClusterMetadata> {
    const address = this.#anyAddress();
    try {
      const answer = await this.#exchange(address, metadata(topics), "control", timeoutMs);
      this.#nodes = new Map(answer.brokers.map(({ id, host, port }) => [id, { host, port }]));
      return answer;
    } catch (error) {
      // The next call asks the next one.
      this.#bootstrapTurn += 1;
      throw error;
    }
  }

  /** Asks one node of those that the last metadata named. Any rejection means: no answer. */
  send<T>(node: number, request: KafkaRequest<T>, lane: Lane, timeoutMs: number): Promise<T> {
    const address = this.#nodes.get(node);
    if (address === undefined) return Promise.reject(new Error(`Kafka has no node ${node}`));
    return this.#exchange(address, request, lane, timeoutMs);
  }

  /** Drops every connection; what waits for an answer is rejected. */
  close(): void {
    this.#closed = true;
    for (const [key, connection] of this.#connections) {
      this.#drop(key, connection, new Error("Closed"));
    }
  }

  async #exchange<T>(
    address: Address,
    request: KafkaRequest<T>,
    lane: Lane,
    timeoutMs: number,
  ): Promise<T> {
    const key = `${address.host}:${address.port}/${lane}`;
    const connection = this.#connection(address, key);
    try {
      return await withDeadline(
        connection.then((opened) => exchange(opened, request)),
        timeoutMs,
        () => new Error(`No answer from broker ${address.host}:${address.port} in ${timeoutMs} ms`),
      );
    } catch (error) {
      this.#drop(key, connection, error);
      throw error;
    }
  }

  #connection(address: Address, key: string): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Error("Closed"));
    const known = this.#connections.get(key);
    if (known !== undefined) return known;
    const connection = new Connection({
      ...connectionOptions(this.#config),
      ...address,
      logger: this.#logger,
    });
    const opening = open(connection).then(
      () => {
        // A broker closes what was idle for ten minutes; the next request then opens anew.
        connection.socket?.once("close", () => this.#drop(key, opening, new Error("Disconnected")));
        return connection;
      },
      (error: unknown) => {
        abandon(connection, error);
        throw error;
      },
    );
    this.#connections.set(key, opening);
    return opening;
  }

  #drop(key: string, connection: Promise<Connection>, error: unknown): void {
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
    connection.then(
      (opened) => abandon(opened, error),
      () => undefined,
    );
  }

  /** In turn: the nodes of the last metadata, then the configured ones (all may have new addresses). */
  #anyAddress(): Address {
    const configured = this.#config.brokers.map((broker) => {
      const colon = broker.lastIndexOf(":");
      const host = broker.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
      return { host, port: Number(broker.slice(colon + 1)) };
    });
    const candidates = [...this.#nodes.values(), ...configured];
    const address = candidates[this.#bootstrapTurn % candidates.length];
    if (address === undefined) throw new HeadgateError("configuration", "KAFKA_BROKERS is empty");
    return address;
  }
}

/** Rejects with what `late` makes when `promise` takes longer; what it still does is left behind. */
export function withDeadline<T>(
  promise: Promise<T>,
  timeoutMs: number,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Connects, checks what the broker speaks, and signs in where SASL is set. */
async function open(connection: Connection): Promise<void> {
  await connection.connect();
  const versions = await exchange(connection, apiVersions);
  const fetch = versions.get(1)?.max ?? 0;
  const topicIds = versions.get(3)?.max ?? 0;
  if (fetch < 13 || topicIds < 12) {
    throw new Error("The broker speaks no topic ids (KIP-516): Kafka 3.1 or later is needed");
  }
  connection.setVersions(
    Object.fromEntries(
      [...versions].map(([api, { min, max }]) => [api, { minVersion: min, maxVersion: max }]),
    ),
  );
  connection.setSupportAuthenticationProtocol(true);
  await connection.authenticate();
}

/** Ends a connection now. kafkajs's own way waits for the answers, which a stopped broker never gives. */
function abandon(connection: Connection, error: unknown): void {
  if (connection.isConnected()) {
    connection.rejectRequests(error instanceof Error ? error : new Error(String(error)));
    connection.disconnect().catch(() => undefined);
  }
  connection.socket?.destroy();
}

function exchange<T>(connection: Connection, request: KafkaRequest<T>): Promise<T> {
  const { apiKey, apiVersion, apiName } = request;
  return connection.send({
    request: {
      apiKey,
      apiVersion,
      apiName,
      encode: () => {
        const writer = new ByteWriter();
        request.encode(writer);
        const buffer = writer.done();
        return Promise.resolve({ buf: buffer, buffer });
      },
    },
    response: {
      decode: (payload) => Promise.resolve({ answer: request.decode(new ByteReader(payload)) }),
      parse: ({ answer }) => Promise.resolve(answer),
    },
    logResponseError: false,
  });
}
