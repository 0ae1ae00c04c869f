import { HeadgateError, quote } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import { cloudEventRecord, type PlaceOf } from "./cloud-event.ts";
import { type PublishContext, refusal } from "./event-rules.ts";
import { pointerTo } from "./json-pointer.ts";
import { numberText, parseJson, toJsonText } from "./json-text.ts";
import { isJsonType, isUtf8Type, parseMediaType } from "./media-type.ts";

/**
 * Reads one event in the JSON format [CloudEvents JSON format 1.0.2 §3].
 * @throws HeadgateError as `cloudEventRecord` does, with JSON pointers.
 */
export function readCloudEvent(text: string, context: PublishContext): OutgoingRecord[] {
  return [recordOf(parseJson(text), "", context)];
}

/**
 * Reads a batch [CloudEvents JSON format 1.0.2 §4], checked whole. An empty one is refused like an
 * empty array of our own events: there is nothing to acknowledge.
 */
export function readCloudEventBatch(text: string, context: PublishContext): OutgoingRecord[] {
  const batch = parseJson(text);
  if (!Array.isArray(batch) || batch.length === 0) {
    throw new HeadgateError("invalid-body", "The batch is not an array of at least one event", {
      pointer: "",
    });
  }
  return batch.map((event, i) => recordOf(event, `/${i}`, context));
}

function recordOf(event: unknown, at: string, context: PublishContext): OutgoingRecord {
  if (!isObject(event)) {
    throw new HeadgateError("invalid-body", "A CloudEvent in JSON is one object", { pointer: at });
  }
  const placeOf: PlaceOf = (name) =>
    name === undefined
      ? { what: "The event", pointer: at }
      : { what: `The attribute ${quote(name)}`, pointer: pointerTo(at, name) };
  const attributes = new Map<string, string>();
  for (const [name, value] of Object.entries(event)) {
    // "a `null` value […] MUST be treated as the equivalent of unset" [§2.2]
    if (value === null || name === "data" || name === "data_base64") continue;
    attributes.set(name, canonicalString(name, value, placeOf));
  }
  const data = dataOf(event, attributes.get("datacontenttype"), at);
  // "the `datacontenttype` in the re-serialized event SHOULD be set explicitly" [§3.1.2]
  if (Object.hasOwn(event, "data") && !attributes.has("datacontenttype")) {
    attributes.set("datacontenttype", "application/json");
  }
  return cloudEventRecord({ attributes, data }, placeOf, context);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    numberText(value) === undefined
  );
}

/** Attributes that the specification defines; all of them are strings of some kind. */
const CORE: ReadonlySet<string> = new Set([
  "specversion",
  "id",
  "source",
  "type",
  "subject",
  "time",
  "dataschema",
  "datacontenttype",
]);

const INTEGER = /^-?(?:0|[1-9]\d{0,9})$/;

/** [CloudEvents JSON format 1.0.2 §2.2] */
function canonicalString(name: string, value: unknown, placeOf: PlaceOf): string {
  if (typeof value === "string") return value;
  if (CORE.has(name)) throw refusal("invalid-body", placeOf(name), "is not a string");
  if (typeof value === "boolean") return String(value);
  const number = numberText(value);
  if (number !== undefined && INTEGER.test(number) && isInt32(Number(number))) return number;
  const reason = "is neither a string, a boolean nor an integer of 32 bits; use a string";
  throw refusal("invalid-body", placeOf(name), reason);
}

/** "in the range -2,147,483,648 to +2,147,483,647" [CloudEvents 1.0.2, Type System] */
function isInt32(number: number): boolean {
  return (number | 0) === number;
}

/** [CloudEvents JSON format 1.0.2 §3.1.2] Undefined: the event has no data. */
function dataOf(
  event: Record<string, unknown>,
  dataContentType: string | undefined,
  at: string,
): Uint8Array | undefined {
  const { data, data_base64: base64 = null } = event;
  const hasData = Object.hasOwn(event, "data");
  if (base64 !== null) {
    if (!hasData) return fromBase64(base64, `${at}/data_base64`);
    throw new HeadgateError("invalid-body", 'Use either "data" or "data_base64", not both', {
      pointer: `${at}/data_base64`,
    });
  }
  if (!hasData) return undefined;
  // What is no media type is refused with the other attributes.
  const type = parseMediaType(dataContentType ?? "application/json");
  if (!type || isJsonType(type)) return Buffer.from(toJsonText(data, `${at}/data`));
  const place = { what: "The data", pointer: `${at}/data` };
  if (typeof data !== "string" || !isUtf8Type(type)) {
    const reason = `must be a string in UTF-8 for this datacontenttype; use "data_base64" for others`;
    throw refusal("invalid-body", place, reason);
  }
  if (!data.isWellFormed()) {
    throw refusal("invalid-event", place, "has a lone surrogate; remove it");
  }
  return Buffer.from(data);
}

function fromBase64(text: unknown, pointer: string): Uint8Array {
  const bytes = Buffer.from(typeof text === "string" ? text : "", "base64");
  // Buffer skips what is not Base64, where "implementations MUST reject" it [RFC 4648 §3.3].
  if (bytes.toString("base64") === text) return bytes;
  const reason = "is not a string of padded Base64 (RFC 4648 §4)";
  throw refusal("invalid-body", { what: "The data_base64", pointer }, reason);
}
