/** What a page of the tests runs: a stream that is opened as the test says, and what has come of it. */
import { connect } from "../../src/client/connect.ts";
import { nativeEventSource } from "../../src/client/native-event-source.ts";
import type { PositionStorage, Stream } from "../../src/client/stream.ts";
import type { Subscription } from "../../src/client/stream-options.ts";

/** As `page.evaluate` can pass it on. */
export interface ReadRequest extends Subscription {
  readonly url: string;
  readonly isNative?: boolean;
  readonly isStored?: boolean;
  readonly token?: string;
  readonly withCredentials?: boolean;
  readonly pauseWhenHidden?: boolean;
  /** The first wait between attempts. */
  readonly firstWaitMs?: number;
}

interface PageGlobals {
  readonly localStorage: PositionStorage;
  read: (request: ReadRequest) => void;
  stream: Stream;
  got: unknown[];
  /** Each status, with its reason. */
  told: string[];
  resets: string[];
}

// What is missing in the cast is not used: this runs in a page only.
const page = globalThis as unknown as PageGlobals;
page.got = [];
page.told = [];
page.resets = [];
page.read = ({ isNative = false, isStored = false, firstWaitMs = 100, ...options }) => {
  page.stream = connect({
    ...options,
    backoff: { firstMs: firstWaitMs, maxMs: Math.max(firstWaitMs, 500) },
    ...(isNative && { transport: nativeEventSource }),
    ...(isStored && { storage: page.localStorage }),
    onEvent: ({ data }) => void page.got.push(data),
    onReset: ({ reason }) => page.resets.push(reason),
    onStatus: (status, { why }) => page.told.push(why ? `${status} ${why.reason}` : status),
  });
};
