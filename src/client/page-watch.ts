/** The parts of a browser's globals that are used here; undefined outside of pages. */
interface PageGlobals {
  readonly document?: EventTargetLike & { readonly visibilityState: "visible" | "hidden" };
  readonly addEventListener?: EventTargetLike["addEventListener"];
  readonly removeEventListener?: EventTargetLike["removeEventListener"];
}

interface EventTargetLike {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

export interface PageListener {
  /** Also when it is left: nothing may follow. */
  readonly onHidden: () => void;
  readonly onVisible: () => void;
  /** The network is back. */
  readonly onOnline: () => void;
}

export function isPageHidden(): boolean {
  return (globalThis as PageGlobals).document?.visibilityState === "hidden";
}

/** Says what becomes of the page, until what it returns is called. Outside of pages it says nothing. */
export function watchPage({ onHidden, onVisible, onOnline }: PageListener): () => void {
  const page = globalThis as PageGlobals;
  const onChange = (): void => (isPageHidden() ? onHidden() : onVisible());
  page.document?.addEventListener("visibilitychange", onChange);
  page.addEventListener?.("online", onOnline);
  return () => {
    page.document?.removeEventListener("visibilitychange", onChange);
    page.removeEventListener?.("online", onOnline);
  };
}
