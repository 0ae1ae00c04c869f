import { HeadgateError } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import { cloudEventRecord } from "../publishing/cloud-event.ts";
import type { Place, PublishContext } from "../publishing/event-rules.ts";

const PREFIX = "ce-";

/** Whether a request is a CloudEvent in binary mode, unless its content type says otherwise. */
export function hasCloudEventHeaders(headers: Headers): boolean {
  return headers.keys().some((name) => name.startsWith(PREFIX));
}

/**
 * Reads a CloudEvent in binary mode [CloudEvents HTTP binding 1.0.2 §3.1]: attributes in headers, and
 * the body, byte for byte, as the data. (A header that was sent twice comes joined by a comma, like a
 * value that has one.)
 * @throws HeadgateError as `cloudEventRecord` does; messages name the header.
 */
export function readBinaryCloudEvent(
  headers: Headers,
  body: Uint8Array,
  context: PublishContext,
): OutgoingRecord {
  const attributes = new Map<string, string>();
  for (const [name, value] of headers) {
    if (!name.startsWith(PREFIX)) continue;
    attributes.set(name.slice(PREFIX.length), decodeValue(name, value));
  }
  // "a `ce-datacontenttype` HTTP header MUST NOT also be present" [§3.1.1]
  if (attributes.has("datacontenttype")) {
    throw badHeader("ce-datacontenttype", "must not be there; Content-Type says it");
  }
  const contentType = headers.get("content-type");
  if (contentType !== null) attributes.set("datacontenttype", contentType);
  return cloudEventRecord({ attributes, data: body }, placeOf, context);
}

function placeOf(attribute?: string): Place {
  if (attribute === undefined) return { what: "The event", pointer: undefined };
  const name = attribute === "datacontenttype" ? "Content-Type" : `${PREFIX}${attribute}`;
  return { what: `The header ${name.slice(0, 100)}`, pointer: undefined };
}

/** One quoted string [RFC 9110 §5.6.4]; its content and escapes overlap nowhere, so that matching is linear. */
const QUOTED = /^"((?:[^"\\]|\\.)*)"$/;

/** Unquotes, then percent-decodes, each once [CloudEvents HTTP binding 1.0.2 §3.1.3.2]. */
function decodeValue(name: string, value: string): string {
  // Bun gives each byte as one character: what is not ASCII was not percent-encoded.
  if (/[^\0-\u007F]/.test(value)) throw badHeader(name, "is not ASCII; percent-encode it");
  const [, quoted] = QUOTED.exec(value) ?? [];
  if (quoted === undefined && value.startsWith('"')) {
    throw badHeader(name, "begins a quoted string and does not end it");
  }
  try {
    // Bytes that are no UTF-8 "MUST be rejected", overlong ones too.
    return decodeURIComponent(quoted?.replaceAll(/\\(.)/g, "$1") ?? value);
  } catch {
    throw badHeader(name, "is not percent-encoded UTF-8");
  }
}

function badHeader(name: string, reason: string): HeadgateError {
  return new HeadgateError("invalid-body", `The header ${name.slice(0, 100)} ${reason}`);
}
