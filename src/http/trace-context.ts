import type { RecordHeader } from "../log/entry.ts";
import type { OutgoingRecord } from "../log/publisher.ts";

/** [W3C Trace Context §3.2.2] As long as version 00, which later ones begin with; neither id may be all zeros. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** [W3C Trace Context §3.3.1.5] At least 512 characters must be passed on; more could fill every record with a stranger's text. */
const TRACESTATE = /^[\x20-\x7E]{1,512}$/;

/**
 * Passes a request's trace on in the headers of its records, so that who reads the topic goes on with
 * it. What is not valid is ignored, as the specification asks; records that name a trace keep theirs.
 */
export function withTraceContext(records: OutgoingRecord[], request: Headers): OutgoingRecord[] {
  const trace = traceHeaders(request);
  if (trace.length === 0) return records;
  return records.map((record) => {
    const own = new Set(record.headers.map(([name]) => name.toLowerCase()));
    if (own.has("traceparent")) return record;
    return { ...record, headers: [...record.headers, ...trace.filter(([name]) => !own.has(name))] };
  });
}

/** "If the vendor failed to parse traceparent, it MUST NOT attempt to parse tracestate." [W3C Trace Context §3.3] */
function traceHeaders(request: Headers): RecordHeader[] {
  const parent = request.get("traceparent") ?? "";
  if (!TRACEPARENT.test(parent)) return [];
  const state = request.get("tracestate") ?? "";
  const headers: RecordHeader[] = [["traceparent", Buffer.from(parent)]];
  if (TRACESTATE.test(state)) headers.push(["tracestate", Buffer.from(state)]);
  return headers;
}
