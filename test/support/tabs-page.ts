/** What a page of the tests runs: streams that are opened as the test says, and what has come of them. */
import { connectShared } from "../../src/client/connect-shared.ts";
import type { PositionStorage, StreamStatus } from "../../src/client/stream.ts";
import type { SharedWorkerLike } from "../../src/client/tabs-worker-start.ts";

/** As `page.evaluate` can pass it on. */
export interface OpenRequest {
  readonly url: string;
  /** A path of the site; "none": no worker; the site's own where it is left out. */
  readonly worker?: string;
  /** Asks the test for its tokens, under this name. */
  readonly tokenOf?: string;
  readonly lastEventId?: string;
  readonly isStored?: boolean;
  readonly pauseWhenHidden?: boolean;
}

interface PageGlobals {
  readonly localStorage: PositionStorage;
  readonly SharedWorker: new (url: string, options: { type: "module" }) => SharedWorkerLike;
  /** Of the test. */
  readonly giveToken: (name: string) => Promise<string>;
  openStream: (request: OpenRequest) => void;
  got: unknown[];
  status: StreamStatus;
  lastEventId: () => string | undefined;
}

// What is missing in the cast is not used: this runs in a page only.
const page = globalThis as unknown as PageGlobals;
page.got = [];
page.openStream = ({ worker, tokenOf, isStored = false, ...options }) => {
  const path = worker ?? "";
  const stream = connectShared({
    ...options,
    backoff: { firstMs: 100, maxMs: 500 },
    ...(path === "none" && { worker: false }),
    ...(path.startsWith("/") && {
      worker: () => new page.SharedWorker(path, { type: "module" }),
    }),
    ...(tokenOf !== undefined && { token: () => page.giveToken(tokenOf) }),
    ...(isStored && { storage: page.localStorage }),
    onEvent: ({ data }) => void page.got.push(data),
    onStatus: (status) => (page.status = status),
  });
  page.lastEventId = () => stream.lastEventId;
};
