/** The parts of a browser's globals that are used here; undefined outside of pages. */
interface PageGlobals extends Partial<Target> {
  readonly document?: Target & { readonly visibilityState: "visible" | "hidden" };
}

interface Target {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** Also when the page is left: nothing may follow. Outside of pages there is nothing to hide. */
export function isPageHidden(): boolean {
  return (globalThis as PageGlobals).document?.visibilityState === "hidden";
}

/** Calls when the page is shown or hidden, and when the network is back, until what it returns is called. */
export function watchPage(onChange: () => void): () => void {
  const page = globalThis as PageGlobals;
  const each = (method: keyof Target): void => {
    page.document?.[method]("visibilitychange", onChange);
    page[method]?.("online", onChange);
  };
  each("addEventListener");
  return () => each("removeEventListener");
}
