import { z } from "zod";
import { HeadgateError, quote } from "../errors.ts";
import type { RecordHeader } from "../log/entry.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import {
  checkText,
  checkTopic,
  checkType,
  isReservedHeader,
  MAX_HEADER_NAME_LENGTH,
  MAX_HEADERS,
  MAX_TYPE_LENGTH,
  type PublishContext,
  refusal,
  textHeader,
} from "./event-rules.ts";
import { pointerTo } from "./json-pointer.ts";
import { numberText, toJsonText } from "./json-text.ts";

/** An event to publish. What is left out may be undefined as well; unknown fields are refused. */
export interface PublishedEvent {
  /** A served topic; left out, the default one (SSE_DEFAULT_TOPIC). */
  readonly topic?: string | undefined;
  /**
   * What subscribers listen for (`event:`), at most 1,024 characters; left out, it is `message`.
   * The names of system events are reserved.
   */
  readonly type?: string | undefined;
  /** Events of one key keep their order, and may be compacted to the last one. Left out or null: none. */
  readonly key?: string | null | undefined;
  /** Any JSON, stored as compact text. `null` with a key is a tombstone: it deletes what the key stands for. */
  readonly data: unknown;
  /** Kafka headers, at most 100. `type`, and what begins with `ce_` or `headgate-`, is refused. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Who gets the event; left out, everybody whose subscription matches. Several kinds widen the audience. */
  readonly to?: PublishTargets | undefined;
}

/** Names of 1 to 1,024 characters: one, or 1 to 100 of each kind. */
export interface PublishTargets {
  readonly user?: string | readonly string[] | undefined;
  readonly channel?: string | readonly string[] | undefined;
  readonly client?: string | readonly string[] | undefined;
}

/** Kafka's own limit for a topic's name. */
const MAX_TOPIC_LENGTH = 249;
/** Most targets of a kind, and longest target: each is looked up for every event that is delivered. */
const MAX_TARGETS = 100;
const MAX_TARGET_LENGTH = 1024;

/** A number, which `parseJson` turned into an object, is none to a schema; `__proto__`, which zod would drop, is said. */
function objectOf<T extends z.ZodType>(schema: T): z.ZodPreprocess<T> {
  return z.preprocess((value, context) => {
    const number = numberText(value);
    if (number !== undefined) return Number(number);
    if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__")) {
      context.addIssue({ code: "custom", path: ["__proto__"], message: "not a name to be used" });
    }
    return value;
  }, schema);
}

const targetName = z.string().min(1).max(MAX_TARGET_LENGTH);

const targets = z.union([targetName, z.array(targetName).min(1).max(MAX_TARGETS)], {
  error: `use a name of 1 to ${MAX_TARGET_LENGTH} characters, or an array of 1 to ${MAX_TARGETS} of them`,
});

/** `PublishedEvent` at run time. Sizes bound what one event can make us hold, beside SSE_MAX_EVENT_BYTES. */
export const publishedEventSchema = objectOf(
  z.strictObject({
    topic: z
      .string()
      .max(MAX_TOPIC_LENGTH)
      .optional()
      .describe("A served topic; left out, the one of the parameter `topic`, else the default one"),
    type: z
      .string()
      .max(MAX_TYPE_LENGTH)
      .optional()
      .describe(
        "What subscribers listen for; left out, `message`. System events' names are reserved",
      ),
    key: z
      .string()
      .nullable()
      .optional()
      .describe("Events of one key keep their order; null or left out: no key"),
    data: z
      .unknown()
      .describe("Any JSON, numbers kept as written. `null` with a key is a tombstone"),
    headers: objectOf(
      z
        .record(z.string().max(MAX_HEADER_NAME_LENGTH), z.string())
        .refine(
          (headers) => Object.keys(headers).length <= MAX_HEADERS,
          `at most ${MAX_HEADERS} headers are allowed`,
        ),
    )
      .optional()
      .meta({
        description: "Kafka headers. `type`, `ce_*` and `headgate-*` are refused",
        maxProperties: MAX_HEADERS,
      }),
    to: objectOf(
      z.strictObject({
        user: targets.optional().describe("Every subscriber that is this user"),
        channel: targets.optional().describe("Every subscriber that joined this channel"),
        client: targets.optional().describe("The subscriber with this client id"),
      }),
    )
      .optional()
      .describe("Who gets the event; left out, everybody whose subscription matches"),
  }),
).meta({ title: "Event", description: "An event to publish" });

/**
 * Checks one event, wherever it came from, and makes a record of it. `at` is the JSON pointer to it.
 * @throws HeadgateError `invalid-body`, `invalid-event`, `forbidden` or `topic-not-found`.
 */
export function toRecord(event: unknown, at: string, context: PublishContext): OutgoingRecord {
  const parsed = publishedEventSchema.safeParse(event);
  if (!parsed.success) throw invalidEvent(parsed.error, at);
  const { topic = context.defaultTopic, type, key = null, data, headers = {}, to } = parsed.data;
  // From code, where `undefined` can be said; in JSON the schema has found it missing.
  if (data === undefined) throw noData(at);
  checkTopic(topic, { what: "The topic", pointer: `${at}/topic` }, context);
  if (type !== undefined) checkType(type, { what: "The type", pointer: `${at}/type` });
  if (key !== null) checkText(key, { what: "The key", pointer: `${at}/key` });
  const isTombstone = data === null && key !== null;
  return {
    topic,
    key: key === null ? null : Buffer.from(key),
    value: isTombstone ? null : Buffer.from(toJsonText(data, `${at}/data`)),
    headers: [
      ...(type === undefined ? [] : [textHeader("type", type)]),
      ...customHeaders(headers, `${at}/headers`),
      ...targetHeaders(to ?? {}, `${at}/to`, context),
    ],
  };
}

function customHeaders(headers: Readonly<Record<string, string>>, at: string): RecordHeader[] {
  return Object.entries(headers).map(([name, value]) => {
    const pointer = pointerTo(at, name);
    checkText(name, { what: "The header's name", pointer });
    checkText(value, { what: "The header's value", pointer });
    if (isReservedHeader(name)) {
      const reason = `${quote(name)} is reserved; use the event's own fields for it`;
      throw refusal("invalid-event", { what: "The header", pointer }, reason);
    }
    return textHeader(name, value);
  });
}

function targetHeaders(to: PublishTargets, at: string, context: PublishContext): RecordHeader[] {
  return (["user", "channel", "client"] as const).flatMap((kind) => {
    const names = to[kind] ?? [];
    const pointer = `${at}/${kind}`;
    return (typeof names === "string" ? [names] : names).map((name) => {
      checkText(name, { what: "The target", pointer });
      if (kind === "channel" && !context.mayTarget(name)) {
        const reason = `${quote(name)} is not among those that you may publish to`;
        throw refusal("forbidden", { what: "The channel", pointer }, reason);
      }
      return textHeader(`headgate-${kind}`, name);
    });
  });
}

function noData(at: string): HeadgateError {
  return new HeadgateError("invalid-body", "The event has no data", { pointer: `${at}/data` });
}

function invalidEvent(error: z.ZodError, at: string): HeadgateError {
  const [issue] = error.issues;
  const path = [...(issue?.path ?? [])];
  if (issue?.code === "invalid_type" && path.length === 1 && path[0] === "data") return noData(at);
  let reason = issue?.message ?? "not an event";
  if (issue?.code === "unrecognized_keys") {
    // Its message lists all of them, which may be as many as a body holds.
    path.push(issue.keys[0] ?? "");
    reason = "unknown field";
  }
  const pointer = pointerTo(at, ...path);
  return new HeadgateError(
    "invalid-body",
    `${pointer === "" ? "The body" : quote(pointer)} cannot be used: ${reason}`,
    { pointer },
  );
}
