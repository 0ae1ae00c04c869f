import { HeadgateError } from "../../src/errors.ts";
import { readRecords } from "../../src/http/publish-body.ts";
import type { OutgoingRecord } from "../../src/log/publisher.ts";
import type { PublishContext } from "../../src/publishing/event-rules.ts";
import { CONTEXT } from "./outgoing.ts";

/** A server on a real port that reads publishes, and publishes nothing. */
export interface RecordServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What the last request was read as: records, or the error that refused it. */
  readonly last: () => readonly OutgoingRecord[] | HeadgateError;
}

export const MAX_BODY_BYTES = 1024 * 1024;

export function startRecordServer(context: PublishContext = CONTEXT): RecordServer {
  let last: readonly OutgoingRecord[] | HeadgateError = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      try {
        last = await readRecords(request, { ...context, maxBodyBytes: MAX_BODY_BYTES });
        return new Response();
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error;
        last = error;
        return new Response(null, { status: 400 });
      }
    },
  });
  return {
    url: server.url.href,
    port: server.port ?? 0,
    last: () => last,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
