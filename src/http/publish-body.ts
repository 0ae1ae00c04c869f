import { z } from "zod";
import { HeadgateError, quote, topicNotFound } from "../errors.ts";
import type { RecordHeader } from "../log/entry.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import { hasControlCharacter, isReservedType } from "../sse/event.ts";

/** A number, which `parseJson` turned into an object, is none to a schema; `__proto__`, which zod would drop, is said. */
function objectOf<T extends z.ZodType>(schema: T): z.ZodPreprocess<T> {
  return z.preprocess((value, context) => {
    if (isRawJson(value)) return Number(value.rawJSON);
    if (typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__")) {
      context.addIssue({ code: "custom", path: ["__proto__"], message: "not a name to be used" });
    }
    return value;
  }, schema);
}

const Targets = z.union([z.string(), z.array(z.string()).min(1).max(100)]);

/** An event as it is published in JSON. Sizes bound what one event can make us hold, beside SSE_MAX_EVENT_BYTES. */
const PublishedEvent = objectOf(
  z.strictObject({
    topic: z.string().max(249).optional(),
    type: z.string().max(1024).optional(),
    key: z.string().nullable().optional(),
    data: z.unknown(),
    headers: objectOf(
      z
        .record(z.string().max(1024), z.string())
        .refine((headers) => Object.keys(headers).length <= 100, "at most 100 headers are allowed"),
    ).optional(),
    to: objectOf(
      z.strictObject({
        user: Targets.optional(),
        channel: Targets.optional(),
        client: Targets.optional(),
      }),
    ).optional(),
  }),
);

export interface PublishContext {
  readonly topics: readonly string[];
  readonly defaultTopic: string;
}

/**
 * Reads the body of a publish in JSON: one event, or an array of them, checked whole.
 * @throws HeadgateError `invalid-body`, `invalid-event` or `topic-not-found`, with a JSON pointer.
 */
export function parsePublishBody(text: string, context: PublishContext): OutgoingRecord[] {
  const body = parseJson(text);
  const isArray = Array.isArray(body);
  const items: readonly unknown[] = isArray ? body : [body];
  if (items.length === 0) {
    throw new HeadgateError("invalid-body", "The array is empty; send at least one event", {
      pointer: "",
    });
  }
  return items.map((item, i) => toRecord(item, isArray ? `/${i}` : "", context));
}

/** Parses JSON and keeps numbers as they are written: 9007199254740993 and 1.0 stay what they are. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
      typeof value === "number" && context?.source !== undefined ? rawJson(context.source) : value,
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HeadgateError("invalid-body", `The body is not JSON (${reason.slice(0, 100)})`, {
      pointer: "",
    });
  }
}

function isRawJson(value: unknown): value is { readonly rawJSON: string } {
  // The cast holds as below.
  return (JSON as unknown as { isRawJSON: (value: unknown) => boolean }).isRawJSON(value);
}

/** JSON.rawJSON [ECMA-262, JSON.parse source text access], which TypeScript's library does not know yet. */
function rawJson(source: string): unknown {
  // The cast holds on the oldest Bun that the start-up check lets through.
  return (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON(source);
}

function toRecord(item: unknown, at: string, context: PublishContext): OutgoingRecord {
  const parsed = PublishedEvent.safeParse(item);
  if (!parsed.success) throw invalidBody(parsed.error, at);
  const { topic = context.defaultTopic, type, key = null, data, headers = {}, to } = parsed.data;
  if (data === undefined) {
    throw new HeadgateError("invalid-body", "The event has no data", { pointer: `${at}/data` });
  }
  if (!context.topics.includes(topic)) throw topicNotFound(topic);
  if (type !== undefined) checkType(type, `${at}/type`);
  if (key !== null) checkText(key, `${at}/key`, "The key");
  const isTombstone = data === null && key !== null;
  return {
    topic,
    key: key === null ? null : Buffer.from(key),
    value: isTombstone ? null : Buffer.from(JSON.stringify(data)),
    headers: [
      ...(type === undefined ? [] : [header("type", type)]),
      ...customHeaders(headers, `${at}/headers`),
      ...targetHeaders(to ?? {}, `${at}/to`),
    ],
  };
}

function checkType(type: string, pointer: string): void {
  checkText(type, pointer, "The type");
  if (isReservedType(type)) {
    throw new HeadgateError("invalid-event", `The type ${quote(type)} is reserved; use another`, {
      pointer,
    });
  }
}

function customHeaders(headers: Record<string, string>, at: string): RecordHeader[] {
  return Object.entries(headers).map(([name, value]) => {
    const pointer = `${at}/${escapePointer(name)}`;
    checkText(name, pointer, "The header's name");
    checkText(value, pointer, "The header's value");
    const lower = name.toLowerCase();
    if (lower === "type" || lower.startsWith("ce_") || lower.startsWith("headgate-")) {
      throw new HeadgateError(
        "invalid-event",
        `The header ${quote(name)} is reserved; use the event's own fields for it`,
        { pointer },
      );
    }
    return header(name, value);
  });
}

function targetHeaders(
  to: Partial<Record<"user" | "channel" | "client", string | string[] | undefined>>,
  at: string,
): RecordHeader[] {
  return (["user", "channel", "client"] as const).flatMap((kind) => {
    const names = to[kind] ?? [];
    return (typeof names === "string" ? [names] : names).map((name) => {
      checkText(name, `${at}/${kind}`, "The target");
      return header(`headgate-${kind}`, name);
    });
  });
}

/** Control characters could break frames or hide in logs; lone surrogates have no UTF-8. */
function checkText(text: string, pointer: string, what: string): void {
  if (!hasControlCharacter(text) && text.isWellFormed()) return;
  throw new HeadgateError(
    "invalid-event",
    `${what} ${quote(text)} has a control character or a lone surrogate; remove it`,
    { pointer },
  );
}

function header(name: string, value: string): RecordHeader {
  return [name, Buffer.from(value)];
}

function invalidBody(error: z.ZodError, at: string): HeadgateError {
  const [issue] = error.issues;
  const path = [...(issue?.path ?? [])];
  if (issue?.code === "unrecognized_keys") path.push(issue.keys[0] ?? "");
  const pointer = at + path.map((part) => `/${escapePointer(String(part))}`).join("");
  return new HeadgateError(
    "invalid-body",
    `${pointer === "" ? "The body" : quote(pointer)} cannot be used: ${issue?.message ?? "not an event"}`,
    { pointer },
  );
}

/** [RFC 6901 §3] */
function escapePointer(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
