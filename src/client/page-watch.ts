/** The parts of a browser's globals that are used here; undefined outside of pages. */
interface PageGlobals {
  readonly document?: Target & { readonly visibilityState: PageVisibility };
  readonly addEventListener?: Target["addEventListener"];
  readonly removeEventListener?: Target["removeEventListener"];
}

interface Target {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** `hidden` also when the page is left: nothing may follow. */
type PageVisibility = "visible" | "hidden";

/** Outside of pages there is nothing to hide. */
export function pageVisibility(): PageVisibility {
  return (globalThis as PageGlobals).document?.visibilityState ?? "visible";
}

/** Calls when the page is shown or hidden, and when the network is back, until what it returns is called. */
export function watchPage(onChange: () => void): () => void {
  const page = globalThis as PageGlobals;
  page.document?.addEventListener("visibilitychange", onChange);
  page.addEventListener?.("online", onChange);
  return () => {
    page.document?.removeEventListener("visibilitychange", onChange);
    page.removeEventListener?.("online", onChange);
  };
}
