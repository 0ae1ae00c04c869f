/**
 * A program for Node that reads a stream with our client, and writes what comes to stdout, a line each.
 * It closes the stream when its stdin ends, and then has nothing more to do.
 *
 *     node node-reader.js URL [LAST_EVENT_ID]
 */
import { connect } from "../../src/client/connect.ts";

/** The last line. */
export interface Farewell {
  readonly lastEventId: string | undefined;
}

const [url, lastEventId] = process.argv.slice(2);
const stream = connect({
  url,
  lastEventId,
  backoff: { firstMs: 50, maxMs: 200 },
  onLive: () => console.log(JSON.stringify("live")),
  onReset: ({ reason }) => console.log(JSON.stringify(reason)),
});
process.stdin.on("end", () => stream.close()).resume();
for await (const { data } of stream) console.log(JSON.stringify(data));
const farewell: Farewell = { lastEventId: stream.lastEventId };
console.log(JSON.stringify(farewell));
