import type { Clock } from "./clock.ts";
import type { FrameListener, FrameSource, SourceState } from "./frame-source.ts";
import { Gate } from "./gate.ts";
import type { Tabs } from "./tabs-browser.ts";
import {
  type Item,
  type Join,
  memberLock,
  type TabMessage,
  type TokenAnswer,
} from "./tabs-messages.ts";
import type { TokenSource } from "./token-source.ts";

/** Pages that ask for the same stream as the same user. */
export interface Group {
  /** Of its channel, and of the lock that its host holds. */
  readonly name: string;
  readonly tabs: Tabs;
  readonly clock: Clock;
  /** Makes the group's connection. */
  readonly connect: (listener: FrameListener & { readonly token: TokenSource }) => FrameSource;
}

/** How long a new host waits for members that hold their lock and do not answer. */
const ROLL_CALL_MS = 250;

/** How long one member may take over its token before another one is asked. */
const TOKEN_MS = 10_000;

/**
 * Runs the group's one connection, and tells all members what it brings. Resolves once it has let go:
 * the signal has aborted, nobody is left, or the connection has given up.
 */
function host({ name, tabs, clock, connect }: Group, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const channel = tabs.openChannel(name);
    const over = new AbortController();
    /** Whether each one's token can be renewed. */
    const members = new Map<string, boolean>();
    /** Who is asked for a token. */
    const asked = new Map<string, (answer?: TokenAnswer) => void>();
    // Two hosts that know nothing of each other have different ones.
    let term = 1 + clock.random();
    let n = 0;
    let items: Item[] = [];
    let state: SourceState = { name: "connecting" };
    let notice: string | undefined;
    let isLive = false;
    /** Where it begins: where the members of the host before it are, if any are there. */
    let first: Join | undefined;
    let at: string | undefined;
    let hasBegun = false;
    let memberCount = Infinity;

    const source = connect({
      // Who is slow is so for itself: members let go by themselves.
      gate: new Gate(),
      token: {
        get: askAll,
        get isRenewable() {
          return [...members.values()].includes(true);
        },
      },
      onFrame: (frame) => {
        at = frame.id || undefined;
        if (frame.type === "connection") notice = frame.data;
        isLive = frame.type === "live" || (isLive && frame.type !== "connection");
        tell(frame);
      },
      onState: (next) => {
        state = next;
        notice = undefined;
        isLive = false;
        tell(next);
        // Who comes later asks afresh.
        if (next.name === "error") end();
      },
    });

    function post(message: TabMessage): void {
      channel.postMessage(message);
    }

    /** Soon: frames that came together are told together. */
    function tell(item: Item): void {
      items.push(item);
      if (items.length === 1) queueMicrotask(flush);
    }

    function flush(): void {
      if (items.length === 0) return;
      post({ kind: "items", term, n, items });
      n += items.length;
      items = [];
    }

    function greet(): void {
      // The count and the position are of the same moment.
      flush();
      post({ kind: "hello", term, n, at, state, notice, isLive });
    }

    function end(): void {
      if (over.signal.aborted) return;
      flush();
      source.stop();
      over.abort();
      channel.close();
      resolve();
    }

    function begin(): void {
      if (hasBegun || over.signal.aborted) return;
      hasBegun = true;
      if (members.size === 0) {
        end();
        return;
      }
      at = first?.at;
      source.start(at);
      greet();
    }

    function welcome(join: Join): void {
      const { member, isRenewable } = join;
      if (!members.has(member)) {
        const gone = (): void => {
          members.delete(member);
          asked.get(member)?.();
          if (hasBegun && members.size === 0) end();
        };
        const lock = memberLock(name, member);
        tabs.locks.request(lock, { signal: over.signal }, gone).catch(ignore);
      }
      members.set(member, isRenewable);
      // Of a host before this one that this one knew nothing of.
      if (join.term > term) term = Math.floor(join.term) + 1 + clock.random();
      if (hasBegun) {
        greet();
        return;
      }
      if (join.isAligned || first?.at === undefined) first = join;
      if (join.isAligned || members.size >= memberCount) begin();
    }

    /** Those who came last first: they are the likeliest to be awake. */
    async function askAll(): Promise<string | undefined> {
      const left = [...members.keys()];
      for (let member = left.pop(); member !== undefined; member = left.pop()) {
        const answer = await ask(member);
        if (answer?.error !== undefined) throw new Error(answer.error);
        if (answer) return answer.token;
      }
      throw new Error("no page has answered");
    }

    function ask(member: string): Promise<TokenAnswer | undefined> {
      return new Promise((done) => {
        if (over.signal.aborted) return;
        const cancel = clock.after(TOKEN_MS, () => done(undefined));
        asked.set(member, (answer) => {
          cancel();
          done(answer);
        });
        post({ kind: "ask", member });
      });
    }

    channel.addEventListener("message", ({ data }) => {
      // Who posts here is this client, of the version that the group's name says.
      const message = data as TabMessage;
      if (message.kind === "join") welcome(message);
      else if (message.kind === "token") asked.get(message.member)?.(message);
      else if (message.kind === "wake") source.retryNow();
    });
    signal.addEventListener("abort", end);
    over.signal.addEventListener("abort", clock.after(ROLL_CALL_MS, begin));
    post({ kind: "who" });
    const count = async (): Promise<void> => {
      const { held = [] } = await tabs.locks.query();
      const prefix = memberLock(name);
      // Before the first of them has its lock there is nobody to wait for, and nobody to leave.
      memberCount = held.filter((lock) => lock.name?.startsWith(prefix)).length || Infinity;
      if (members.size >= memberCount) begin();
    };
    count().catch(ignore);
    if (signal.aborted) end();
  });
}

/**
 * Waits for its turn to be the host, and is it, until the signal aborts or the host has let go. To
 * steal is for when the host does not answer: its page is frozen, perhaps, and holds its lock.
 */
export async function standForHost(
  group: Group,
  signal: AbortSignal,
  { steal = false } = {},
): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const turn = new AbortController();
    const end = (): void => turn.abort();
    signal.addEventListener("abort", end);
    let isHost = false;
    const hold = (): Promise<void> => {
      isHost = true;
      return host(group, turn.signal);
    };
    // [Web Locks §3.3] a request that steals cannot have a signal.
    const options = steal && isFirst ? { steal } : { signal };
    try {
      await group.tabs.locks.request(group.name, options, hold);
      return;
    } catch {
      end();
      // It was stolen from this one: it waits for its turn again.
      if (!isHost) return;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }
}

function ignore(): void {
  // Called off, or nothing to be known: there are bounds on waiting.
}
