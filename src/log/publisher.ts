import type { RecordHeader } from "./entry.ts";

/** A checked event on its way into a topic. */
export interface OutgoingRecord {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** Where a published record lies. */
export interface Coordinates {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * Port. `publish` resolves once every record is durable, with the coordinates in the order given;
 * calls are written in the order in which they were made.
 *
 * It rejects with `publish-queue-full` (nothing was sent), `publish-timeout` or `publish-failed`
 * (`mayBeStored` says whether some of it may be there all the same), `too-large`, `forbidden`,
 * `topic-not-found`, `invalid-event` (the topic refuses it) or `shutting-down`. What was rejected
 * is never sent later.
 */
export interface Publisher {
  publish(records: readonly OutgoingRecord[]): Promise<Coordinates[]>;
  /** Awaits what was accepted, then refuses. */
  close(): Promise<void>;
  isConnected(): boolean;
}
