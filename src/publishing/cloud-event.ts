import { quote } from "../errors.ts";
import type { RecordHeader } from "../log/entry.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import {
  checkText,
  checkTopic,
  checkType,
  MAX_TYPE_LENGTH,
  type Place,
  type PublishContext,
  refusal,
  textHeader,
} from "./event-rules.ts";
import { parseMediaType } from "./media-type.ts";
import { isTimestamp } from "./timestamp.ts";

/** A CloudEvent [CloudEvents 1.0.2], in whatever form it came, not checked yet. */
export interface CloudEvent {
  /** Names and values as their canonical strings; `datacontenttype` is one of them, the data is not. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Undefined: it has none. */
  readonly data: Uint8Array | undefined;
}

/** Where an attribute stood, or, without a name, the event. */
export type PlaceOf = (attribute?: string) => Place;

/** Most attributes, and longest name: each becomes a header, kept as a string of its own for every event in memory. */
const MAX_ATTRIBUTES = 100;
/** The specification recommends 20. */
const NAME = /^[a-z0-9]{1,64}$/;

const REQUIRED = ["specversion", "id", "source", "type"];
/** What may be absent, but not empty; `partitionkey` is of the extension Partitioning. */
const NOT_EMPTY = [...REQUIRED, "subject", "dataschema", "datacontenttype", "partitionkey"];

/** Not allowed in strings, beside control characters and lone surrogates [CloudEvents 1.0.2, Type System]. */
const NONCHARACTER = /\p{Noncharacter_Code_Point}/u;

/**
 * Makes a record of a CloudEvent, in the binary mode of the Kafka protocol binding 1.0.2 §3.2, which
 * leaves the data alone. But an event without data has an empty value: the null that the binding
 * asks for would delete what the key stands for.
 * @throws HeadgateError `invalid-body`, `invalid-event`, `forbidden` or `topic-not-found`.
 */
export function cloudEventRecord(
  { attributes, data }: CloudEvent,
  placeOf: PlaceOf,
  context: PublishContext,
): OutgoingRecord {
  checkNames(attributes, placeOf);
  checkValues(attributes, placeOf);
  checkTopic(context.defaultTopic, { ...placeOf(), what: "The topic" }, context);
  const key = attributes.get("partitionkey");
  return {
    topic: context.defaultTopic,
    key: key === undefined ? null : Buffer.from(key),
    value: data ?? new Uint8Array(),
    headers: [...attributes].map(([name, value]) => header(name, value)),
  };
}

/** [Kafka protocol binding 1.0.2 §3.2.1, §3.2.3] */
function header(attribute: string, value: string): RecordHeader {
  const name = attribute === "datacontenttype" ? "content-type" : `ce_${attribute}`;
  return textHeader(name, value);
}

function checkNames(attributes: CloudEvent["attributes"], placeOf: PlaceOf): void {
  if (attributes.size > MAX_ATTRIBUTES) {
    const reason = `has ${attributes.size} attributes; at most ${MAX_ATTRIBUTES} are allowed`;
    throw refusal("invalid-body", placeOf(), reason);
  }
  for (const name of attributes.keys()) {
    // "CloudEvent attributes MUST NOT have the name `data`" [CloudEvents 1.0.2, Naming Conventions]
    if (NAME.test(name) && name !== "data") continue;
    const reason = "is no name for an attribute; use 1 to 64 of [a-z0-9], but not data";
    throw refusal("invalid-body", placeOf(name), reason);
  }
}

function checkValues(attributes: CloudEvent["attributes"], placeOf: PlaceOf): void {
  for (const name of REQUIRED) {
    if (attributes.has(name)) continue;
    throw refusal("invalid-body", placeOf(name), "is missing; every CloudEvent has it");
  }
  for (const name of NOT_EMPTY) {
    if (attributes.get(name) !== "") continue;
    throw refusal("invalid-body", placeOf(name), "is empty; give it a value, or leave it out");
  }
  for (const [name, value] of attributes) {
    const place = placeOf(name);
    checkText(value, place);
    if (NONCHARACTER.test(value)) {
      throw refusal("invalid-event", place, `${quote(value)} has a noncharacter; remove it`);
    }
    CHECKS.get(name)?.(value, place);
  }
}

/** What single attributes must be beside clean text. */
const CHECKS: ReadonlyMap<string, (value: string, place: Place) => void> = new Map([
  ["specversion", checkVersion],
  ["type", checkTypeAttribute],
  ["time", checkTime],
  ["datacontenttype", checkDataContentType],
]);

function checkVersion(version: string, place: Place): void {
  if (version === "1.0") return;
  throw refusal("invalid-body", place, `is ${quote(version)}; only "1.0" is known`);
}

function checkTypeAttribute(type: string, place: Place): void {
  if (type.length > MAX_TYPE_LENGTH) {
    const reason = `has ${type.length} characters; at most ${MAX_TYPE_LENGTH} are allowed`;
    throw refusal("invalid-body", place, reason);
  }
  checkType(type, place);
}

function checkTime(time: string, place: Place): void {
  if (isTimestamp(time)) return;
  const reason = `is ${quote(time)}; use RFC 3339, as in 2026-11-21T14:00:00Z`;
  throw refusal("invalid-body", place, reason);
}

function checkDataContentType(text: string, place: Place): void {
  const type = parseMediaType(text);
  if (!type) {
    const reason = `is ${quote(text)}; use a media type such as application/json`;
    throw refusal("invalid-body", place, reason);
  }
  // Readers of the topic would take the data for an event in structured mode [Kafka protocol binding 1.0.2 §3].
  if (type.essence.startsWith("application/cloudevents")) {
    const reason = `is ${quote(text)}, which a record's data cannot be; send the event itself`;
    throw refusal("invalid-event", place, reason);
  }
}
