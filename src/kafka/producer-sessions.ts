import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../logger.ts";
import { describeKafkaError } from "./client.ts";
import type { ProducerSession } from "./producer-session.ts";

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 1_000;

/** Keeps one usable session for a topic, and connects a new one, for as long as it takes, when that is retired. */
export class ProducerSessions {
  readonly #create: () => ProducerSession;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #current: ProducerSession | undefined;
  #connecting: Promise<ProducerSession> | undefined;
  #isReachable: boolean | undefined;

  constructor(create: () => ProducerSession, logger: Logger) {
    this.#create = create;
    this.#logger = logger;
  }

  /** Whether the last thing that was tried with Kafka went well. */
  get isReachable(): boolean {
    return this.#isReachable === true;
  }

  /** A connected session; waits until there is one. Rejects once closed. */
  get(): Promise<ProducerSession> {
    const current = this.#current;
    if (current !== undefined && current.isUsable) return Promise.resolve(current);
    current?.retire();
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Logs Kafka's coming and going once each. */
  reportReachable(isReachable: boolean, cause?: unknown): void {
    if (this.#isReachable === isReachable || this.#closing.signal.aborted) return;
    this.#isReachable = isReachable;
    if (isReachable) this.#logger.info("publisher connected to kafka");
    else this.#logger.warn({ error: describeKafkaError(cause) }, "publisher lost kafka");
  }

  close(): void {
    this.#closing.abort();
    this.#isReachable = false;
    this.#current?.retire();
  }

  async #connect(): Promise<ProducerSession> {
    const { signal } = this.#closing;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
      signal.throwIfAborted();
      const session = this.#create();
      try {
        await session.connect();
        signal.throwIfAborted();
        this.#current = session;
        this.reportReachable(true);
        return session;
      } catch (error) {
        session.retire();
        this.reportReachable(false, error);
      }
      await delay(delayMs, undefined, { signal });
    }
  }
}
