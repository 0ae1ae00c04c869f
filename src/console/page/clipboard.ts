import { el } from "./dom.ts";

/** Copies a text; false where the browser lets no page do that. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // There is no clipboard on http:// pages of other machines, where this page is used too.
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const field = el("textarea", { attributes: { readonly: "", "aria-hidden": "true" } });
  field.value = text;
  field.style.position = "fixed";
  field.style.opacity = "0";
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isCopied;
}

/** How long a button says that it has copied. */
const SAID_MS = 1500;

/** A button that copies what `text` gives when it is pressed, and says so. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const made = el("button", { text: label, attributes: { type: "button", "aria-live": "polite" } });
  let timer: number | undefined;
  made.addEventListener("click", () => {
    void copyText(text()).then((isCopied) => {
      made.textContent = isCopied ? "Copied" : "Not allowed";
      clearTimeout(timer);
      timer = setTimeout(() => (made.textContent = label), SAID_MS);
    });
  });
  return made;
}
