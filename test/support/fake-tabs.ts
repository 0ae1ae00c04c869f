import type { Clock } from "../../src/client/clock.ts";
import type { TabChannel, Tabs } from "../../src/client/tabs-browser.ts";

/** Chance that can be had again. */
export type Chance = () => number;

/** mulberry32. */
export function seededChance(seed: number): Chance {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(chance: Chance, items: readonly T[]): T | undefined {
  return items[Math.floor(chance() * items.length)];
}

interface Channel {
  readonly tab: FakeTab;
  readonly name: string;
  readonly listeners: ((event: { readonly data: unknown }) => void)[];
  /** By sender, each one's in order: nothing is known of the order between senders. */
  readonly inbox: Map<Channel, unknown[]>;
  isClosed: boolean;
}

interface LockRequest {
  readonly tab: FakeTab;
  readonly name: string;
  readonly hold: () => Promise<void> | void;
  readonly resolve: (value?: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Timer {
  readonly tab: FakeTab;
  readonly atMs: number;
  readonly call: () => void;
}

/** Locks, channels and timers of tabs, which do the next thing only when they are told to, and any of those there are. */
export class FakeBrowser {
  nowMs = 0;
  readonly #chance: Chance;
  #channels: Channel[] = [];
  #requests: LockRequest[] = [];
  #held = new Map<string, LockRequest>();
  #timers: Timer[] = [];

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  open(): FakeTab {
    return new FakeTab(this, this.#chance);
  }

  /** Whether something waits that needs no time. */
  get isBusy(): boolean {
    return this.#deliverable().length > 0 || this.#grantable().length > 0;
  }

  /** One message arrives, or one lock is granted. */
  step(): void {
    const channel = pick(this.#chance, this.#deliverable());
    const request = pick(this.#chance, this.#grantable());
    if (channel && (!request || this.#chance() < 0.7)) this.#deliver(channel);
    else if (request) this.#grant(request);
  }

  /** The next timer is due. False where there is none until then. */
  elapse(untilMs = Infinity): boolean {
    const awake = this.#timers.filter(({ tab }) => !tab.isFrozen);
    const [first] = awake.toSorted((a, b) => a.atMs - b.atMs);
    if (!first || first.atMs > untilMs) return false;
    this.nowMs = Math.max(this.nowMs, first.atMs);
    this.#timers = this.#timers.filter((timer) => timer !== first);
    first.call();
    return true;
  }

  after(tab: FakeTab, ms: number, call: () => void): () => void {
    const timer = { tab, atMs: this.nowMs + ms, call };
    if (!tab.isGone) this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  openChannel(tab: FakeTab, name: string): TabChannel {
    const channel: Channel = { tab, name, listeners: [], inbox: new Map(), isClosed: false };
    this.#channels.push(channel);
    return {
      addEventListener: (_type, listener) => channel.listeners.push(listener),
      close: () => {
        channel.isClosed = true;
        this.#channels = this.#channels.filter((each) => each !== channel);
      },
      postMessage: (message) => {
        if (channel.isClosed) throw new DOMException("closed", "InvalidStateError");
        if (tab.isGone) return;
        for (const other of this.#channels) {
          if (other === channel || other.name !== name || other.tab.isDeaf) continue;
          const waiting = other.inbox.get(channel) ?? [];
          waiting.push(structuredClone(message));
          other.inbox.set(channel, waiting);
        }
      },
    };
  }

  request(
    tab: FakeTab,
    name: string,
    { signal, steal = false }: { signal?: AbortSignal; steal?: boolean },
    hold: () => Promise<void> | void,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (tab.isGone) return;
      const aborted = new DOMException("aborted", "AbortError");
      if (signal?.aborted) {
        reject(aborted);
        return;
      }
      const request = { tab, name, hold, resolve, reject };
      if (steal) {
        this.#held.get(name)?.reject(new DOMException("stolen", "AbortError"));
        this.#held.delete(name);
        this.#grant(request);
        return;
      }
      this.#requests.push(request);
      signal?.addEventListener("abort", () => {
        if (!this.#requests.includes(request)) return;
        this.#requests = this.#requests.filter((each) => each !== request);
        reject(aborted);
      });
    });
  }

  heldNames(): { name: string }[] {
    return [...this.#held.keys()].map((name) => ({ name }));
  }

  /** All that a tab had. */
  forget(tab: FakeTab): void {
    this.#channels = this.#channels.filter((channel) => channel.tab !== tab);
    this.#requests = this.#requests.filter((request) => request.tab !== tab);
    this.#timers = this.#timers.filter((timer) => timer.tab !== tab);
    for (const [name, request] of this.#held) if (request.tab === tab) this.#held.delete(name);
  }

  #deliverable(): Channel[] {
    return this.#channels.filter(({ tab, inbox }) => !tab.isFrozen && inbox.size > 0);
  }

  #deliver(channel: Channel): void {
    const sender = pick(this.#chance, [...channel.inbox.keys()]);
    const waiting = (sender && channel.inbox.get(sender)) ?? [];
    const data = waiting.shift();
    if (sender && waiting.length === 0) channel.inbox.delete(sender);
    for (const listener of channel.listeners) listener({ data });
  }

  /** The first of each name. A frozen page is granted a lock, and does not come to know. */
  #grantable(): LockRequest[] {
    return this.#requests.filter(
      (request) =>
        !this.#held.has(request.name) &&
        this.#requests.find(({ name }) => name === request.name) === request,
    );
  }

  #grant(request: LockRequest): void {
    const { tab, name, hold, resolve, reject } = request;
    this.#requests = this.#requests.filter((each) => each !== request);
    this.#held.set(name, request);
    const release = (): void => {
      if (this.#held.get(name) === request) this.#held.delete(name);
    };
    tab.whenAwake(() => {
      if (this.#held.get(name) !== request) return;
      Promise.resolve(hold()).then(
        (value) => {
          release();
          resolve(value);
        },
        (error: unknown) => {
          release();
          reject(error);
        },
      );
    });
  }
}

/** A page or a worker. */
export class FakeTab {
  /** Crashed or closed: nothing of it goes on. */
  isGone = false;
  /** Nothing runs in it, and what is sent to it waits. */
  isFrozen = false;
  /** What is sent to it is lost. */
  isDeaf = false;
  readonly tabs: Tabs;
  readonly clock: Clock;
  readonly #browser: FakeBrowser;
  #waking: (() => void)[] = [];
  #leaving: { onLeave: () => void; onReturn: () => void } | undefined;

  constructor(browser: FakeBrowser, chance: Chance) {
    this.#browser = browser;
    this.tabs = {
      openChannel: (name) => browser.openChannel(this, name),
      locks: {
        request: (name, options, hold) => browser.request(this, name, options, hold),
        query: () => Promise.resolve({ held: browser.heldNames() }),
      },
      watchLeaving: (onLeave, onReturn) => {
        this.#leaving = { onLeave, onReturn };
        return () => (this.#leaving = undefined);
      },
    };
    this.clock = {
      wallMs: () => browser.nowMs,
      random: chance,
      after: (ms, call) => browser.after(this, ms, call),
    };
  }

  /** Closed, or crashed: nobody is told. */
  crash(): void {
    this.isGone = true;
    this.#browser.forget(this);
  }

  freeze({ isDeaf = false } = {}): void {
    this.isFrozen = true;
    this.isDeaf = isDeaf;
  }

  thaw(): void {
    this.isFrozen = false;
    this.isDeaf = false;
    for (const wake of this.#waking.splice(0)) wake();
  }

  whenAwake(run: () => void): void {
    if (this.isFrozen) this.#waking.push(run);
    else run();
  }

  /** The page is left, and kept in the cache. */
  leave(): void {
    this.#leaving?.onLeave();
  }

  comeBack(): void {
    this.#leaving?.onReturn();
  }
}
