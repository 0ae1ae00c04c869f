import { byId, el } from "./dom.ts";

/** What keys do anywhere on the page. */
export interface KeyActions {
  readonly move: (by: number) => void;
  readonly open: () => void;
  /** Closes what is open, else goes back to the newest. */
  readonly back: () => void;
  readonly togglePause: () => void;
  readonly toNewest: () => void;
}

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["j  ↓", "Next event (older)"],
  ["k  ↑", "Previous event (newer)"],
  ["Enter", "Open the selected event"],
  ["Esc", "Close it; then go back to the newest"],
  ["g  Home", "Newest event"],
  ["p  Space", "Pause, resume"],
  ["/", "Filter by text"],
  ["Ctrl Enter", "Publish (in the data)"],
  ["?", "Show these keys"],
];

/** Listens for keys that are not meant for a field or a button. */
export function listenForKeys(actions: KeyActions): void {
  const dialog = byId("keys", HTMLDialogElement);
  const search = byId("filter-text", HTMLInputElement);
  byId("key-list", HTMLElement).replaceChildren(
    ...KEYS.flatMap(([keys, what]) => [
      el("dt", {}, ...keys.split("  ").flatMap((key) => [el("kbd", { text: key }), " "])),
      el("dd", { text: what }),
    ]),
  );
  byId("show-keys", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
  const byKey = new Map<string, () => void>([
    ["j", () => actions.move(1)],
    ["k", () => actions.move(-1)],
    ["g", actions.toNewest],
    ["p", actions.togglePause],
    [" ", actions.togglePause],
    ["/", () => search.focus()],
    ["?", () => dialog.showModal()],
  ]);
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    const element = target instanceof HTMLElement ? target : document.body;
    if (key === "Escape") {
      if (isField(element)) element.blur();
      actions.back();
      return;
    }
    if (isField(element)) return;
    // Space and Enter press what has the focus.
    const isControl =
      element.closest("button, a, summary, label, [tabindex='0']:not(#list)") !== null;
    if (isControl && (key === " " || key === "Enter")) return;
    const action = byKey.get(key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function isField(element: HTMLElement): boolean {
  return element.closest("input:not([type='radio']), select, textarea") !== null;
}
