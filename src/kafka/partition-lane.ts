import { setTimeout as delay } from "node:timers/promises";
import { quote } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Carrier, Parcel } from "./publication.ts";
import { SendError } from "./producer-session.ts";
import type { ProducerSession } from "./producer-session.ts";
import type { ProducerSessions } from "./producer-sessions.ts";

/** Kafka bounds the batch (message.max.bytes, 1 MiB), not the record: below that nothing fits twice. */
const MAX_BATCH_BYTES = 512 * 1_024;
/** kafkajs copies the list of records once per record. */
const MAX_BATCH_RECORDS = 500;
const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 1_000;

/**
 * Writes to one partition, in order: one batch is under way, what arrives in the meantime makes up
 * the next. Every parcel's publication settles; those given up on are not written any more.
 */
export class PartitionLane {
  readonly #topic: string;
  readonly #partition: number;
  readonly #sessions: ProducerSessions;
  #waiting: Parcel[] = [];
  #isRunning = false;
  /** Less than the most, while a batch is taken apart to find the record that Kafka refuses. */
  #batchLimit = MAX_BATCH_RECORDS;

  constructor(topic: string, partition: number, sessions: ProducerSessions) {
    this.#topic = topic;
    this.#partition = partition;
    this.#sessions = sessions;
  }

  add(parcel: Parcel): void {
    this.#waiting.push(parcel);
    if (this.#isRunning) return;
    this.#isRunning = true;
    // What else is published in this turn of the event loop joins the batch.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        const session = await this.#sessions.get();
        const parcels = this.#takeBatch();
        if (parcels.length > 0) await this.#deliver(session, parcels);
      } catch (error) {
        // The sessions are closed; the publisher lets that happen only after all has settled.
        for (const { publication } of this.#waiting.splice(0)) {
          publication.fail("shutting-down", "The server is shutting down", error);
        }
      }
    }
    this.#isRunning = false;
  }

  #takeBatch(): Parcel[] {
    const parcels: Parcel[] = [];
    let bytes = 0;
    let taken = 0;
    for (const parcel of this.#waiting) {
      if (!parcel.publication.isSettled) {
        bytes += parcel.bytes;
        const isFull = bytes > MAX_BATCH_BYTES || parcels.length === this.#batchLimit;
        if (isFull && parcels.length > 0) break;
        parcels.push(parcel);
      }
      taken += 1;
    }
    this.#waiting = this.#waiting.slice(taken);
    return parcels;
  }

  /** Returns when the parcels are settled, or wait again. */
  async #deliver(session: ProducerSession, parcels: readonly Parcel[]): Promise<void> {
    const batch = new Batch(parcels);
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
      const outcome = await Promise.race([this.#attempt(session, batch), batch.abandoned]);
      if (typeof outcome === "number") {
        this.#batchLimit = Math.min(this.#batchLimit * 2, MAX_BATCH_RECORDS);
        this.#sessions.reportReachable(true);
        return this.#acknowledge(batch, outcome);
      }
      if (outcome === "abandoned") {
        // It may still be under way: see ProducerSession.
        session.retire();
        if (batch.parcels.some(({ publication }) => publication.isLate)) {
          this.#sessions.reportReachable(false, new Error("No acknowledgement in time"));
        }
        return;
      }
      if (outcome.refusal !== undefined) return this.#refuse(session, batch, outcome);
      this.#sessions.reportReachable(false, outcome.cause);
      if (!batch.isWritten) {
        // Nothing was sent, so that others may join, and another session may take it.
        this.#returnToQueue(batch);
        await delay(delayMs);
        return;
      }
      if (batch.isSealed) {
        // Some have run out of time, and what they were sent with must not be sent again.
        batch.fail("publish-timeout", "Kafka did not acknowledge, and it is not tried again");
        session.retire();
        return;
      }
      await delay(delayMs);
    }
  }

  async #attempt(session: ProducerSession, batch: Batch): Promise<number | SendError> {
    try {
      return await session.send({
        partition: this.#partition,
        records: batch.parcels.map(({ record }) => record),
        mayWrite: () => batch.mayWrite(),
      });
    } catch (error) {
      return error instanceof SendError ? error : new SendError(undefined, error);
    }
  }

  #acknowledge({ parcels }: Batch, firstOffset: number): void {
    for (const [place, { publication, index }] of parcels.entries()) {
      const offset = firstOffset + place;
      publication.acknowledge(index, {
        topic: this.#topic,
        partition: this.#partition,
        offset,
      });
    }
  }

  /** Settles the parcels, or has them wait again. */
  #refuse(session: ProducerSession, batch: Batch, { refusal, cause }: SendError): void {
    const { parcels } = batch;
    switch (refusal) {
      case "too-large":
      case "invalid":
        // It is so by itself, so no earlier attempt can have been stored.
        batch.markRefused();
        if (parcels.length > 1) {
          this.#batchLimit = parcels.length >> 1;
          this.#returnToQueue(batch);
        } else if (refusal === "too-large") {
          batch.fail("too-large", "The event is larger than Kafka takes", cause);
        } else {
          const hint = "a compacted topic wants a key";
          batch.fail("invalid-event", `Kafka finds the event invalid; ${hint}`, cause);
        }
        return;
      case "topic-not-found":
        if (batch.isWritten) {
          session.retire();
          batch.fail("publish-failed", `Topic ${quote(this.#topic)} is gone`, cause);
        } else {
          batch.fail("topic-not-found", `Kafka has no topic ${quote(this.#topic)}`, cause);
        }
        return;
      case "out-of-sequence":
        session.retire();
        if (batch.timesWritten > 1) {
          batch.fail("publish-failed", "Kafka has lost track of what was written", cause);
          return;
        }
        batch.markRefused();
        this.#returnToQueue(batch);
        return;
      case "forbidden":
        if (batch.timesWritten === 1) batch.markRefused();
        else session.retire();
        batch.fail("forbidden", `Kafka lets nobody write to ${quote(this.#topic)} as us`, cause);
        return;
      default:
        session.retire();
        batch.fail("publish-failed", "Kafka refused the event", cause);
    }
  }

  #returnToQueue({ parcels }: Batch): void {
    this.#waiting = [...parcels, ...this.#waiting];
  }
}

/** Parcels that are sent together, and what became of them. */
class Batch implements Carrier {
  readonly parcels: readonly Parcel[];
  /** Resolves when all its publications have settled while it was under way. */
  readonly abandoned: Promise<"abandoned">;
  readonly #abandon: (word: "abandoned") => void;
  #timesWritten = 0;
  #isSealed = false;

  constructor(parcels: readonly Parcel[]) {
    this.parcels = parcels;
    const { promise, resolve } = Promise.withResolvers<"abandoned">();
    this.abandoned = promise;
    this.#abandon = resolve;
    for (const { publication } of parcels) publication.carriedBy(this);
  }

  /** Requests that were, or may have been, written with these parcels. */
  get timesWritten(): number {
    return this.#timesWritten;
  }

  get isWritten(): boolean {
    return this.#timesWritten > 0;
  }

  /** A publication in it was given up on: what is on its way may arrive, but nothing is written again. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  mayWrite(): boolean {
    if (this.#isSealed) return false;
    this.#timesWritten += 1;
    for (const { publication, index } of this.parcels) publication.markWritten(index);
    return true;
  }

  /** Kafka has answered that none of it is stored. */
  markRefused(): void {
    for (const { publication, index } of this.parcels) publication.markRefused(index);
  }

  giveUp(): void {
    this.#isSealed = true;
    if (this.parcels.every(({ publication }) => publication.isSettled)) this.#abandon("abandoned");
  }

  fail(code: ErrorCode, message: string, cause?: unknown): void {
    for (const { publication } of this.parcels) publication.fail(code, message, cause);
  }
}
