/** What the tabs of a site talk over: what one posts, all others get, each sender's in order. */
export interface TabChannel {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  postMessage(message: unknown): void;
  close(): void;
}

/** Web Locks: a lock goes with whoever held it, however that ended. */
export interface TabLocks {
  /** Resolves when what `hold` returned has; rejects where the lock is stolen, or the signal aborts first. */
  request(
    name: string,
    options: { readonly signal?: AbortSignal; readonly steal?: boolean },
    hold: () => Promise<void> | void,
  ): Promise<unknown>;
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

/** What tabs find one another with. */
export interface Tabs {
  readonly locks: TabLocks;
  readonly openChannel: (name: string) => TabChannel;
  /** Calls when the page is left, and when it comes back from the cache, until what it returns is called. */
  readonly watchLeaving: (onLeave: () => void, onReturn: () => void) => () => void;
}

/** The parts of a browser's globals that are used here. */
interface TabGlobals {
  readonly BroadcastChannel?: new (name: string) => TabChannel;
  readonly navigator?: { readonly locks?: TabLocks };
  readonly addEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
  readonly removeEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
}

interface PageEvent {
  readonly persisted?: boolean;
}

/** Undefined outside of browsers, in old ones, and in pages without a secure context: they have no locks. */
export function browserTabs(): Tabs | undefined {
  // The DOM's types are not here (tsconfig.json), and these are only a part of what there is.
  const page = globalThis as unknown as TabGlobals;
  const { BroadcastChannel: Channel, navigator } = page;
  const locks = navigator?.locks;
  if (!Channel || !locks) return undefined;
  return {
    locks,
    openChannel: (name) => new Channel(name),
    watchLeaving: (onLeave, onReturn) => {
      const onShow = ({ persisted = false }: PageEvent): void => {
        if (persisted) onReturn();
      };
      page.addEventListener?.("pagehide", onLeave);
      page.addEventListener?.("pageshow", onShow);
      return () => {
        page.removeEventListener?.("pagehide", onLeave);
        page.removeEventListener?.("pageshow", onShow);
      };
    },
  };
}
