import { type Group, standForHost } from "./tabs-host.ts";
import {
  type Hello,
  type Items,
  type Join,
  memberLock,
  type TabMessage,
  type TokenAnswer,
} from "./tabs-messages.ts";
import type { TokenSource } from "./token-source.ts";

export interface MembershipOptions extends Group {
  readonly token: TokenSource;
  /** Has a worker stand for host; resolves when it does, or there is none. */
  readonly startWorker: (group: string) => Promise<void>;
  /** Where it is, for the host to know. */
  readonly describe: () => Pick<Join, "at" | "term" | "isAligned">;
  /** A host begins. */
  readonly onHost: () => void;
  readonly onHello: (hello: Hello) => void;
  readonly onItems: (items: Items) => void;
  /** Locks cannot be had: in a sandboxed frame, for example. */
  readonly onRefusal: () => void;
}

/** What a tab can do in a group. */
export interface Membership {
  /** Says that it is there; the host says where it is. */
  readonly join: () => void;
  /** The host does not answer: it becomes the host. */
  readonly takeOver: () => void;
  /** Has the host not wait any longer for its next attempt. */
  readonly wake: () => void;
  readonly leave: () => void;
}

/** Makes a tab a member of a group: it hears the host, gives it tokens, and stands for host itself. */
export function enterGroup(options: MembershipOptions): Membership {
  const { name, tabs, clock, token, startWorker, describe, onHello, onItems } = options;
  const member = String(clock.random());
  const channel = tabs.openChannel(name);
  const membership = new AbortController();
  const { signal } = membership;
  let hasLock = false;
  let isTakingOver = false;

  function post(message: TabMessage): void {
    if (!signal.aborted) channel.postMessage(message);
  }

  function join(): void {
    const { isRenewable } = token;
    // Before that nobody could know when it is gone.
    if (hasLock) post({ kind: "join", member, isRenewable, ...describe() });
  }

  async function giveToken(): Promise<void> {
    const answer = await token.get().then(
      (given): Partial<TokenAnswer> => ({ token: given }),
      (error: unknown) => ({ error: error instanceof Error ? error.message : "" }),
    );
    // By then it may be a member of another group: its token is not for this one.
    post({ kind: "token", member, ...answer });
  }

  function hold(): Promise<void> {
    hasLock = true;
    join();
    // Only now: as a host it would wait for members that it cannot count.
    void startWorker(name).then(() => standForHost(options, signal));
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  }

  channel.addEventListener("message", ({ data }) => {
    // Who posts here is this client, of the version that the group's name says.
    const message = data as TabMessage;
    if (message.kind === "hello") onHello(message);
    else if (message.kind === "items") onItems(message);
    else if (message.kind === "ask" && message.member === member) void giveToken();
    else if (message.kind === "who") {
      options.onHost();
      join();
    }
  });
  tabs.locks.request(memberLock(name, member), { signal }, hold).catch(() => {
    if (!signal.aborted) options.onRefusal();
  });

  return {
    join,
    takeOver: () => {
      if (isTakingOver) return;
      isTakingOver = true;
      void standForHost(options, signal, { steal: true }).then(() => (isTakingOver = false));
    },
    wake: () => post({ kind: "wake" }),
    leave: () => {
      membership.abort();
      channel.close();
    },
  };
}
