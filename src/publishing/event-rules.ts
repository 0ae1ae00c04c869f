import { type ErrorCode, HeadgateError, quote, topicNotFound } from "../errors.ts";
import type { RecordHeader } from "../log/entry.ts";
import { hasControlCharacter, isReservedType } from "../sse/event.ts";

/** What the events of one publish may name. */
export interface PublishContext {
  /** Served topics. */
  readonly topics: readonly string[];
  /** The topic of an event that names none. */
  readonly defaultTopic: string;
  readonly mayPublish: (topic: string) => boolean;
  /** Whether an event may be addressed to this channel. */
  readonly mayTarget: (channel: string) => boolean;
}

/** Where something stands in what was sent, for the error that refuses it. */
export interface Place {
  /** As the message begins: `The type`. */
  readonly what: string;
  /** Undefined for what did not stand in a JSON body. */
  readonly pointer: string | undefined;
}

/** Longest type: it is repeated in every index and every frame. */
export const MAX_TYPE_LENGTH = 1024;

/** The error that names a place. */
export function refusal(code: ErrorCode, { what, pointer }: Place, reason: string): HeadgateError {
  return new HeadgateError(code, `${what} ${reason}`, pointer === undefined ? {} : { pointer });
}

/**
 * Whether may comes before whether there: a token cannot find out what is served.
 * @throws HeadgateError `forbidden` or `topic-not-found`.
 */
export function checkTopic(topic: string, place: Place, context: PublishContext): void {
  if (!context.mayPublish(topic)) {
    const reason = `${quote(topic)} is not among those that you may publish to`;
    throw refusal("forbidden", place, reason);
  }
  if (context.topics.includes(topic)) return;
  throw topicNotFound(topic, place.pointer === undefined ? {} : { pointer: place.pointer });
}

/** @throws HeadgateError `invalid-event` for a type that no subscriber could be shown. */
export function checkType(type: string, place: Place): void {
  checkText(type, place);
  if (isReservedType(type)) {
    throw refusal("invalid-event", place, `${quote(type)} is reserved; use another`);
  }
}

/**
 * Control characters could break frames or hide in logs; lone surrogates have no UTF-8.
 * @throws HeadgateError `invalid-event`.
 */
export function checkText(text: string, place: Place): void {
  if (!hasControlCharacter(text) && text.isWellFormed()) return;
  const reason = `${quote(text)} has a control character or a lone surrogate; remove it`;
  throw refusal("invalid-event", place, reason);
}

/** Most headers of one event, and longest header name: each is kept as a string of its own for every event in memory. */
export const MAX_HEADERS = 100;
export const MAX_HEADER_NAME_LENGTH = 1024;

/** Whether a header's name has a meaning of its own: an event has fields for those. */
export function isReservedHeader(name: string): boolean {
  return /^(?:type$|ce_|headgate-)/i.test(name);
}

export function textHeader(name: string, value: string): RecordHeader {
  return [name, Buffer.from(value)];
}
