import { HeadgateError, quote } from "../errors.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import { readCloudEvent, readCloudEventBatch } from "../publishing/cloud-event-json.ts";
import type { PublishContext } from "../publishing/event-rules.ts";
import { parseJson } from "../publishing/json-text.ts";
import { isUtf8Type, parseMediaType } from "../publishing/media-type.ts";
import { readNdjson } from "../publishing/ndjson.ts";
import { toRecord } from "../publishing/published-event.ts";
import { hasCloudEventHeaders, readBinaryCloudEvent } from "./cloud-event-headers.ts";
import { withTraceContext } from "./trace-context.ts";

type BodyReader = (body: Uint8Array, context: PublishContext) => OutgoingRecord[];

/** What is read as text; anything else is the data of a CloudEvent in binary mode, or refused. */
const TEXT_READERS: ReadonlyMap<
  string,
  (text: string, context: PublishContext) => OutgoingRecord[]
> = new Map([
  ["application/json", readJson],
  ["application/x-ndjson", readNdjson],
  ["application/cloudevents+json", readCloudEvent],
  ["application/cloudevents-batch+json", readCloudEventBatch],
]);

/**
 * Reads the events of a publish, in whatever form they come, checked whole before the first is given.
 * @throws HeadgateError `unsupported-media-type` before the body is read, then `too-large`,
 * `invalid-body`, `invalid-event`, `forbidden` or `topic-not-found`.
 */
export async function readRecords(
  request: Request,
  context: PublishContext & { readonly maxBodyBytes: number },
): Promise<OutgoingRecord[]> {
  const { headers } = request;
  const read = readerFor(headers);
  const body = await readBody(request, context.maxBodyBytes);
  return withTraceContext(read(body, context), headers);
}

/**
 * Reads a body of plain JSON, as `JSON.parse` has it.
 * @throws HeadgateError `unsupported-media-type`, `too-large` or `invalid-body`.
 */
export async function readJsonBody(request: Request, maxBodyBytes: number): Promise<unknown> {
  refuseContentEncoding(request.headers);
  const contentType = request.headers.get("content-type") ?? "";
  const type = parseMediaType(contentType);
  if (type?.essence !== "application/json" || !isUtf8Type(type)) {
    throw new HeadgateError(
      "unsupported-media-type",
      `Content-Type is ${quote(contentType)}; use application/json`,
    );
  }
  const text = decode(await readBody(request, maxBodyBytes));
  try {
    return JSON.parse(text);
  } catch {
    throw new HeadgateError("invalid-body", "The body is not JSON", { pointer: "" });
  }
}

function refuseContentEncoding(headers: Headers): void {
  if (!headers.has("content-encoding")) return;
  throw new HeadgateError(
    "unsupported-media-type",
    "Content-Encoding is not supported; send the body as it is",
  );
}

/** Only by headers that a page of another origin cannot send without asking: no form, no text/plain. */
function readerFor(headers: Headers): BodyReader {
  refuseContentEncoding(headers);
  const contentType = headers.get("content-type") ?? "";
  const type = parseMediaType(contentType);
  const isCloudEvents = type?.essence.startsWith("application/cloudevents") ?? false;
  if (!isCloudEvents && hasCloudEventHeaders(headers)) {
    return (body, context) => [readBinaryCloudEvent(headers, body, context)];
  }
  const readText = TEXT_READERS.get(type?.essence ?? "");
  if (!type || !readText) {
    throw new HeadgateError(
      "unsupported-media-type",
      `Content-Type is ${quote(contentType)}; use ${[...TEXT_READERS.keys()].join(", ")}, or ce-* headers`,
    );
  }
  if (!isUtf8Type(type)) {
    throw new HeadgateError(
      "unsupported-media-type",
      `The charset of the body is ${quote(type.charset ?? "")}; use utf-8`,
    );
  }
  return (body, context) => readText(decode(body), context);
}

/** The body, of at most `maxBodyBytes`, whatever Content-Length says. */
async function readBody(request: Request, maxBodyBytes: number): Promise<Uint8Array> {
  const tooLarge = (): HeadgateError =>
    new HeadgateError(
      "too-large",
      `The body has more than ${maxBodyBytes} bytes (SSE_MAX_BODY_BYTES)`,
    );
  const { headers } = request;
  const length = headers.get("content-length");
  if (Number(length ?? 0) > maxBodyBytes) throw tooLarge();
  if (length !== null && !headers.has("transfer-encoding")) {
    // [RFC 9112 §6.2] There is no more of it than that. As a stream it would take twice the CPU.
    const body = await request.bytes();
    if (body.byteLength > maxBodyBytes) throw tooLarge();
    return body;
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new HeadgateError("invalid-body", "The body is not UTF-8", { pointer: "" });
  }
}

/** One event, or an array of them. */
function readJson(text: string, context: PublishContext): OutgoingRecord[] {
  const body = parseJson(text);
  if (!Array.isArray(body)) return [toRecord(body, "", context)];
  if (body.length === 0) {
    throw new HeadgateError("invalid-body", "The array is empty; send at least one event", {
      pointer: "",
    });
  }
  return body.map((event, i) => toRecord(event, `/${i}`, context));
}
