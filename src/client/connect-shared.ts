import { type ConnectionSettings, connectionSource } from "./connect.ts";
import { type MakeSource, openStream } from "./event-stream.ts";
import type { EventOf, Schemas, Stream } from "./stream.ts";
import type { StreamOptions } from "./stream-options.ts";
import { browserTabs, type Tabs } from "./tabs-browser.ts";
import { createTabMember } from "./tabs-member.ts";
import { type SharedWorkerLike, startWorker } from "./tabs-worker-start.ts";
import { tokenClaims } from "./token-source.ts";

export interface SharedStreamOptions<S extends Schemas = Schemas> extends StreamOptions<S> {
  /**
   * Tabs share a connection where this is equal too. The address, and who a JWT says one is and what it
   * lets one do, are told apart without it: not so the user of a cookie, who belongs in here.
   */
  readonly group?: string | undefined;
  /**
   * Makes the worker that has the connection, where the bundler does not find its script by itself:
   * `() => new SharedWorker("/assets/headgate-worker.js", { type: "module" })` with a copy of
   * `headgate/client/worker`. `false`: one of the tabs has it, as where there is no worker, and with a
   * `fetch` or `transport` of one's own.
   */
  readonly worker?: (() => SharedWorkerLike) | false | undefined;
}

/**
 * The same stream as `connect`, with the same promises, over one connection for all tabs of a site that
 * ask for it: browsers have six for each host over HTTP/1.1. Where tabs cannot find one another
 * (outside of browsers, and in pages without a secure context), each has its own.
 *
 * ```ts
 * for await (const event of connectShared({ url, topics: ["orders"] })) console.log(event.data);
 * ```
 * @throws TypeError for options that cannot be used.
 */
export function connectShared<S extends Schemas = Schemas>(
  options: SharedStreamOptions<S> = {},
): Stream<EventOf<S>> {
  const tabs = browserTabs();
  return openStream(options, tabs ? memberSource(options, tabs) : connectionSource(options));
}

/** What of the options is no matter of one tab. */
type GroupSettings = ConnectionSettings & Pick<SharedStreamOptions, "group" | "worker">;

/** Makes members of groups of tabs. @throws TypeError for options that cannot be used. */
export function memberSource(options: GroupSettings, tabs: Tabs): MakeSource {
  const { group, withCredentials, backoff, maxReconnectAttempts, staleMs } = options;
  const { worker = defaultWorker } = options;
  const isOfPage = options.fetch !== undefined || options.transport !== undefined;
  const makeSource = connectionSource(options);
  return (setup) => {
    const { url, clock } = setup;
    return createTabMember(setup, {
      tabs,
      makeSource,
      groupOf: (token) => {
        const { iss, sub, headgate } = tokenClaims(token);
        // The number is of what tabs tell each other: pages of two releases can be open at once.
        return JSON.stringify(["headgate", 1, url, withCredentials, group, iss, sub, headgate]);
      },
      hasReplay: !/\/events(?:\?|$)/.test(url) || /[?&](?:recent|since=(?!latest))/.test(url),
      startWorker: async (name) => {
        if (worker === false || isOfPage) return;
        const settings = {
          group: name,
          url,
          withCredentials,
          backoff,
          maxReconnectAttempts,
          staleMs,
        };
        await startWorker(worker, settings, clock);
      },
    });
  };
}

function defaultWorker(): SharedWorkerLike {
  // There is no type of it here (tsconfig.json). Bundlers know this expression.
  return new SharedWorker(new URL("./tabs-worker.js", import.meta.url), { type: "module" });
}

declare const SharedWorker: new (url: URL, options: { type: "module" }) => SharedWorkerLike;
