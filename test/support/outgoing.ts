import { HeadgateError } from "../../src/errors.ts";
import type { OutgoingRecord } from "../../src/log/publisher.ts";
import type { PublishContext } from "../../src/publishing/event-rules.ts";

/** Two topics are served, and all is allowed but what begins with `secret`. */
export const CONTEXT: PublishContext = {
  topics: ["events", "payments", "secret-served"],
  defaultTopic: "events",
  mayPublish: (topic) => !topic.startsWith("secret"),
  mayTarget: (channel) => !channel.startsWith("secret"),
};

/** A record with its bytes as text, to compare. */
export interface ShownRecord {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export function shown({ topic, key, value, headers }: OutgoingRecord): ShownRecord {
  return {
    topic,
    key: key && Buffer.from(key).toString(),
    value: value && Buffer.from(value).toString(),
    headers: headers.map(([name, bytes]) => [name, Buffer.from(bytes).toString()]),
  };
}

/** The error with which something is refused. */
export function errorOf(run: () => unknown): HeadgateError {
  try {
    run();
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error("Not refused");
}

/** The code and the pointer with which something is refused. */
export function refusalOf(run: () => unknown): [code: string, pointer: string | undefined] {
  const { code, details } = errorOf(run);
  return [code, details.pointer];
}
